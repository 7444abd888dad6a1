import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Retention } from '../model/policy.ts';
import { applyRetention, isEmptyRetention, parseSpan } from './retention.ts';

const nowMs = Date.parse('2026-12-01T00:00:00Z');

function snapshotsAt(...times: readonly string[]) {
  return times.map((time, i) => ({ id: String(i).padStart(4, '0'), time, timeMs: Date.parse(time) }));
}

function kept(times: readonly string[], keep: Retention): string[] {
  return applyRetention(snapshotsAt(...times), keep, { nowMs })
    .filter((decision) => decision.keep)
    .map((decision) => decision.snapshot.time);
}

describe('retention', () => {
  it('keeps the last ones, newest first', () => {
    const times = ['2026-01-01T00:00:00Z', '2026-01-03T00:00:00Z', '2026-01-02T00:00:00Z'];
    expect(kept(times, { last: 2 })).toEqual(['2026-01-03T00:00:00Z', '2026-01-02T00:00:00Z']);
  });

  it('keeps the newest of each day and, while the rule has some left, the oldest of all', () => {
    const times = ['2026-01-01T01:00:00Z', '2026-01-01T02:00:00Z', '2026-01-02T01:00:00Z', '2026-01-02T02:00:00Z'];
    expect(kept(times, { daily: 2 })).toEqual(['2026-01-02T02:00:00Z', '2026-01-01T02:00:00Z']);
    const decisions = applyRetention(snapshotsAt(...times), { daily: 3 }, { nowMs });
    expect(decisions.map((decision) => decision.reasons)).toEqual([
      ['daily snapshot'],
      [],
      ['daily snapshot'],
      ['oldest daily snapshot'],
    ]);
  });

  it('counts days in the zone each snapshot was made in', () => {
    const sameDayInMadrid = ['2026-06-01T00:30:00+02:00', '2026-06-01T23:30:00+02:00'];
    expect(kept([...sameDayInMadrid, '2026-05-20T00:00:00Z'], { daily: 2 })).toEqual([
      '2026-06-01T23:30:00+02:00',
      '2026-05-20T00:00:00Z',
    ]);
    const sameInstantsInUtc = ['2026-05-31T22:30:00Z', '2026-06-01T21:30:00Z'];
    expect(kept([...sameInstantsInUtc, '2026-05-20T00:00:00Z'], { daily: 2 })).toEqual([
      '2026-06-01T21:30:00Z',
      '2026-05-31T22:30:00Z',
    ]);
  });

  it('counts ISO weeks across the turn of the year', () => {
    const times = ['2025-12-29T00:00:00Z', '2026-01-04T00:00:00Z', '2026-01-05T00:00:00Z', '2025-12-01T00:00:00Z'];
    expect(kept(times, { weekly: 2 })).toEqual(['2026-01-05T00:00:00Z', '2026-01-04T00:00:00Z']);
  });

  it('keeps all of a period with -1', () => {
    const times = Array.from({ length: 40 }, (_, i) => new Date(Date.UTC(2024, i, 2)).toISOString());
    expect(kept(times, { monthly: -1 })).toHaveLength(times.filter((time) => Date.parse(time) < Infinity).length);
    expect(kept(times, { yearly: -1 })).toHaveLength(5);
  });

  it('counts «within» back from the newest snapshot that is not in the future', () => {
    const times = ['2026-11-01T00:00:00Z', '2026-11-08T00:00:00Z', '2026-11-08T00:00:01Z', '2026-11-15T00:00:00Z'];
    expect(kept(times, { within: '7d' })).toEqual(['2026-11-15T00:00:00Z', '2026-11-08T00:00:01Z']);
    expect(kept([...times, '2030-01-01T00:00:00Z'], { within: '7d' })).toEqual([
      '2030-01-01T00:00:00Z',
      '2026-11-15T00:00:00Z',
      '2026-11-08T00:00:01Z',
    ]);
  });

  it('keeps everything when there is no rule, because nobody asked for a removal', () => {
    const decisions = applyRetention(snapshotsAt('2026-01-01T00:00:00Z'), { last: 0, within: '0d' }, { nowMs });
    expect(decisions[0]).toMatchObject({ keep: true, reasons: ['no retention rule'] });
    expect(isEmptyRetention({})).toBe(true);
    expect(isEmptyRetention({ within: '1h' })).toBe(false);
  });

  it('keeps what is protected and says why, and lets it take its place in the buckets', () => {
    const snapshots = snapshotsAt('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z', '2026-01-03T00:00:00Z');
    const decisions = applyRetention(snapshots, { last: 1 }, { nowMs, protectedBy: new Map([['0000', ['pinned']]]) });
    expect(decisions.map(({ keep, reasons }) => [keep, ...reasons])).toEqual([
      [true, 'last snapshot'],
      [false],
      [true, 'pinned'],
    ]);
  });

  it('always keeps the newest when any count is given, and never depends on the order given', () => {
    const history = fc.uniqueArray(fc.integer({ min: 1_500_000_000, max: 1_790_000_000 }), {
      minLength: 1,
      maxLength: 40,
    });
    const count = fc.option(fc.integer({ min: -1, max: 5 }), { nil: undefined });
    const rules = fc.record({ last: count, hourly: count, daily: count, weekly: count, monthly: count, yearly: count });
    fc.assert(
      fc.property(history, rules, (seconds, keep) => {
        const snapshots = snapshotsAt(...seconds.map((s) => new Date(s * 1000).toISOString()));
        const decisions = applyRetention(snapshots, keep, { nowMs });
        expect(applyRetention(snapshots.toReversed(), keep, { nowMs })).toEqual(decisions);
        expect(decisions).toHaveLength(snapshots.length);
        expect(decisions[0].keep).toBe(true);
        const last = keep.last ?? 0;
        if (last > 0) expect(decisions.slice(0, last).every((decision) => decision.keep)).toBe(true);
      }),
    );
  });

  it('reads spans as restic writes them', () => {
    expect(parseSpan('1y5m7d2h')).toEqual({ years: 1, months: 5, days: 7, hours: 2 });
    expect(parseSpan('2h7d')).toEqual({ years: 0, months: 0, days: 7, hours: 2 });
    for (const text of ['', '7', 'd', '7w', '7 d', '1.5d']) expect(parseSpan(text)).toBeUndefined();
    expect(() => kept(['2026-01-01T00:00:00Z'], { within: 'a week' })).toThrow('«a week» is not a span of time');
  });
});
