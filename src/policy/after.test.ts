import { describe, expect, it } from 'vitest';
import { afterLimitMs, followedTiming, slotsBefore, waitsFor } from './after.ts';
import type { Timing } from './firing-times.ts';

const cron = (text: string): Timing => ({ kind: 'cron', cron: text, timezone: 'UTC' });
const at = (text: string): number => Date.parse(text);
const timings = new Map<string, Timing>([
  ['dumps', cron('0 2 * * *')],
  ['files', cron('0 3 * * *')],
  ['often', { kind: 'interval', everyMs: 3_600_000 }],
  ['weekly', cron('30 1 * * 0')],
]);

describe('what comes after', () => {
  it('waits for the newest slot at or before its own', () => {
    expect(slotsBefore(['dumps', 'files', 'nothing'], at('2026-05-05T02:30:00Z'), timings)).toEqual([
      { policy: 'dumps', slotMs: at('2026-05-05T02:00:00Z') },
      { policy: 'files', slotMs: at('2026-05-04T03:00:00Z') },
    ]);
  });

  it('says how many it waits for, and gives up at the limit', () => {
    const before = [{ policy: 'dumps', slotMs: 1000 }];
    expect(waitsFor(before, () => 2, { slotMs: 1000, nowMs: 2000 })).toBe(
      'it comes after dumps, of which 2 runs have not ended',
    );
    expect(waitsFor(before, () => 0, { slotMs: 1000, nowMs: 2000 })).toBeUndefined();
    expect(waitsFor(before, () => 2, { slotMs: 1000, nowMs: 1000 + afterLimitMs })).toBeUndefined();
  });

  it('follows what is due least often, and of equals what comes last', () => {
    expect(followedTiming(['dumps', 'files'], timings)).toBe(timings.get('files'));
    expect(followedTiming(['files', 'dumps'], timings)).toBe(timings.get('files'));
    expect(followedTiming(['often', 'dumps'], timings)).toBe(timings.get('dumps'));
    expect(followedTiming(['dumps', 'weekly', 'files'], timings)).toBe(timings.get('weekly'));
    expect(followedTiming(['nothing'], timings)).toBeUndefined();
  });
});
