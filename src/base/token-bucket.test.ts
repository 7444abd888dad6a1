import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Clock } from './clock.ts';
import { rateAt } from './rate-table.ts';
import { TokenBucket } from './token-bucket.ts';

/** Time that passes only by waiting, at once. */
function leap(startMs = Date.UTC(2026, 10, 20, 12)): Clock & { readonly atMs: number; pass(ms: number): void } {
  let atMs = startMs;
  return {
    get atMs() {
      return atMs;
    },
    pass: (ms) => {
      atMs += ms;
    },
    nowMs: () => atMs,
    monotonicMs: () => atMs,
    sleep: async (ms, { signal } = {}) => {
      if (signal?.aborted) throw new Error('cancelled');
      atMs += ms;
    },
  };
}

describe('a token bucket', () => {
  it('lets bytes through at its rate, whatever pieces they come in', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 5_000_000 }), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 10_000, max: 10_000_000 }),
        async (pieces, rate) => {
          const clock = leap(0);
          const bucket = new TokenBucket(clock, () => rate);
          let before = 0;
          for (const piece of pieces) {
            await bucket.take(piece);
            // Everything before this piece has been paid for, but for what may be saved up in a quarter of a second.
            expect(before).toBeLessThanOrEqual((clock.atMs / 1000 + 0.25) * rate + 1);
            before += piece;
          }
          // And nothing waited longer than it had to: a millisecond a piece is rounding.
          expect(clock.atMs).toBeLessThanOrEqual(((before - pieces.at(-1)!) / rate) * 1000 + pieces.length);
        },
      ),
    );
  });

  it('saves up a quarter of a second at most', async () => {
    const clock = leap(0);
    const bucket = new TokenBucket(clock, () => 1000);
    clock.pass(3_600_000);
    for (let i = 0; i < 10; i++) await bucket.take(100);
    expect(clock.atMs - 3_600_000).toBe(600 + 50);
  });

  it('serves in the order of asking, and who gives up lets the next one in', async () => {
    const clock = leap(0);
    const bucket = new TokenBucket(clock, () => 1000);
    await bucket.take(5000);
    const order: string[] = [];
    const gaveUp = AbortSignal.abort();
    const asked = [
      bucket.take(1, gaveUp).catch(() => order.push('gave up')),
      bucket.take(1000).then(() => order.push('first')),
      bucket.take(1000).then(() => order.push('second')),
    ];
    await Promise.all(asked);
    expect(order).toEqual(['gave up', 'first', 'second']);
  });

  it('follows the rate as it changes while somebody waits', async () => {
    const clock = leap(0);
    const bucket = new TokenBucket(clock, () => (clock.atMs < 10_000 ? 100 : undefined));
    await bucket.take(1_000_000);
    await bucket.take(1);
    expect(clock.atMs).toBe(10_000);
  });
});

describe('a timetable', () => {
  const at = (text: string): number => Date.parse(text);
  const office = { hours: { fromMinute: 8 * 60, toMinute: 20 * 60 }, days: [1, 2, 3, 4, 5], bytesPerSecond: 2 };
  const night = { hours: { fromMinute: 22 * 60, toMinute: 6 * 60 }, days: [5], bytesPerSecond: 9 };

  it('is read on the wall of its zone, in summer time and out of it', () => {
    const madrid = { windows: [office], timezone: 'Europe/Madrid' };
    expect(rateAt(madrid, at('2026-11-20T06:59:00Z'))).toBeUndefined();
    expect(rateAt(madrid, at('2026-11-20T07:00:00Z'))).toBe(2);
    expect(rateAt(madrid, at('2026-07-20T06:00:00Z'))).toBe(2);
    expect(rateAt(madrid, at('2026-11-20T19:00:00Z'))).toBeUndefined();
    expect(rateAt(madrid, at('2026-11-21T12:00:00Z'))).toBeUndefined();
  });

  it('goes over midnight, on the day it began', () => {
    const table = { windows: [night], timezone: 'UTC' };
    expect(rateAt(table, at('2026-11-20T21:59:00Z'))).toBeUndefined();
    expect(rateAt(table, at('2026-11-20T23:00:00Z'))).toBe(9);
    expect(rateAt(table, at('2026-11-21T05:59:00Z'))).toBe(9);
    expect(rateAt(table, at('2026-11-21T06:00:00Z'))).toBeUndefined();
    expect(rateAt(table, at('2026-11-21T23:00:00Z'))).toBeUndefined();
  });

  it('takes the first window that is open, and is no limit where none is', () => {
    const table = { windows: [office, { bytesPerSecond: 7 }], timezone: 'UTC' };
    expect(rateAt(table, at('2026-11-20T12:00:00Z'))).toBe(2);
    expect(rateAt(table, at('2026-11-20T21:00:00Z'))).toBe(7);
    expect(rateAt({ windows: [] }, 0)).toBeUndefined();
    expect(rateAt({ windows: [office, {}], timezone: 'UTC' }, at('2026-11-20T21:00:00Z'))).toBeUndefined();
  });
});
