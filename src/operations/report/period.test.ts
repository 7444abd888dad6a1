import { expect, test } from 'vitest';
import { dayBoundaries, dayOf } from './period.ts';

const madrid = 'Europe/Madrid';

test('a month has its days, those of the clock changes with 23 and 25 hours', () => {
  const [since, until] = ['2026-10-01T00:00:00+02:00', '2026-11-01T00:00:00+01:00'].map((text) => Date.parse(text));
  const boundaries = dayBoundaries(since, until, madrid);
  expect(boundaries).toHaveLength(32);
  const hours = boundaries.slice(1).map((end, i) => (end - boundaries[i]) / 3_600_000);
  expect(hours.filter((length) => length !== 24)).toEqual([25]);
  expect(hours.indexOf(25)).toBe(24);
});

test('a period that begins and ends amid a day has two parts of days', () => {
  const boundaries = dayBoundaries(Date.parse('2026-03-01T12:00Z'), Date.parse('2026-03-02T12:00Z'), 'UTC');
  expect(boundaries.map((at) => new Date(at).toISOString().slice(0, 16))).toEqual([
    '2026-03-01T12:00',
    '2026-03-02T00:00',
    '2026-03-02T12:00',
  ]);
  expect(dayOf(boundaries, Date.parse('2026-03-01T23:59Z'))).toBe(0);
  expect(dayOf(boundaries, Date.parse('2026-03-02T00:00Z'))).toBe(1);
  expect(dayOf(boundaries, Date.parse('2026-03-05T00:00Z'))).toBe(1);
});
