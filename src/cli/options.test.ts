import { expect, it } from 'vitest';
import { byteCount, retentionOf, share, waitMs } from './options.ts';

it('reads rules, sizes, shares and times, and says what is none', () => {
  expect(retentionOf({ keepLast: '3', keepYearly: 'all', keepDaily: '-1', keepWithin: '7d', other: 'x' })).toEqual({
    last: 3,
    daily: -1,
    yearly: -1,
    within: '7d',
  });
  expect(retentionOf({})).toBeUndefined();
  expect(() => retentionOf({ keepLast: 'many' })).toThrow('--keep-last: «many» is not a count');
  expect([byteCount('4096'), byteCount('1.5K'), byteCount('5GiB'), byteCount('2 MB')]).toEqual([
    4096,
    1536,
    5 * 2 ** 30,
    2 ** 21,
  ]);
  expect(() => byteCount('lots')).toThrow('not a number of bytes');
  expect([share('5'), share('2.5%'), share('0')]).toEqual([0.05, 0.025, 0]);
  expect(() => share('500')).toThrow('not a percentage');
  expect([waitMs('0'), waitMs('90s'), waitMs('1h30m')]).toEqual([0, 90_000, 5_400_000]);
  expect(() => waitMs('soon')).toThrow('not a duration');
});
