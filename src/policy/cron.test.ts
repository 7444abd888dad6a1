import { describe, expect, it } from 'vitest';
import { longestGapMs, parseCron } from './cron.ts';

function gapHours(text: string): number | string | undefined {
  const cron = parseCron(text);
  return typeof cron === 'string' ? cron : longestGapMs(cron)! / 3_600_000;
}

describe('cron', () => {
  it('measures the longest wait between two firings', () => {
    expect(gapHours('0 2 * * *')).toBe(24);
    expect(gapHours('*/15 * * * *')).toBe(0.25);
    expect(gapHours('0 2,14 * * *')).toBe(12);
    expect(gapHours('0 9-17 * * *')).toBe(16);
    expect(gapHours('30 2 * * mon-fri')).toBe(72);
    expect(gapHours('0 0 * * 0')).toBe(gapHours('0 0 * * 7'));
    expect(gapHours('@weekly')).toBe(168);
    expect(gapHours('0 0 1 * *')).toBe(31 * 24);
    expect(gapHours('0 0 29 feb *')).toBe(1461 * 24);
    expect(gapHours('0 0 13 * fri')).toBe(168);
  });

  it('says what is wrong', () => {
    expect(parseCron('0 2 * *')).toBe('it has 4 field(s) where five are needed');
    expect(parseCron('61 2 * * *')).toBe('«61» is not a minute (0–59)');
    expect(parseCron('0 2 * foo *')).toBe('«foo» is not a month (1–12)');
    expect(parseCron('0 0 31 2 *')).toBe('it names a day that never comes');
    expect(parseCron('*/0 * * * *')).toBe('«*/0» is not a minute (0–59)');
  });
});
