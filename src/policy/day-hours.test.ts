import { expect, it } from 'vitest';
import { isWithin, nextWithin } from './day-hours.ts';

const at = (text: string): number => Date.parse(text);
const night = { fromMinute: 22 * 60, toMinute: 5 * 60 };

it('goes over midnight', () => {
  expect(isWithin(night, at('2026-05-05T23:00:00Z'), 'UTC')).toBe(true);
  expect(isWithin(night, at('2026-05-05T04:59:00Z'), 'UTC')).toBe(true);
  expect(isWithin(night, at('2026-05-05T05:00:00Z'), 'UTC')).toBe(false);
});

it('belongs to the day it begins on', () => {
  const saturday = { ...night, days: [6] };
  expect(isWithin(saturday, at('2026-05-09T23:00:00Z'), 'UTC')).toBe(true);
  expect(isWithin(saturday, at('2026-05-10T03:00:00Z'), 'UTC')).toBe(true);
  expect(isWithin(saturday, at('2026-05-10T23:00:00Z'), 'UTC')).toBe(false);
  expect(new Date(nextWithin(saturday, at('2026-05-10T12:00:00Z'), 'UTC')).toISOString()).toBe(
    '2026-05-16T22:00:00.000Z',
  );
});

it('follows the clock on the wall', () => {
  expect(isWithin({ fromMinute: 60, toMinute: 300 }, at('2026-07-01T00:00:00Z'), 'Europe/Madrid')).toBe(true);
  expect(nextWithin({ fromMinute: 150, toMinute: 300 }, at('2026-03-29T00:10:00Z'), 'Europe/Madrid')).toBe(
    at('2026-03-29T01:00:00Z'),
  );
});
