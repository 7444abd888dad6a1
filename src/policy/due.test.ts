import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decideDue, inTimeMs, mostMissed, nextDueMs } from './due.ts';
import { firingsBetween, type Timing } from './firing-times.ts';
import type { Schedule } from './run-plan.ts';

const hour = 3_600_000;
const day = 24 * hour;
const at = (text: string): number => Date.parse(text);
function schedule(timing: Timing, parts: Partial<Schedule> = {}): Schedule {
  return {
    key: 'backup/nightly/shop/',
    kind: 'backup',
    source: 'shop',
    policy: 'nightly',
    host: 'local',
    jitterMs: 0,
    catchUp: true,
    input: {},
    timing,
    ...parts,
  };
}
const daily: Timing = { kind: 'cron', cron: '0 2 * * *', timezone: 'UTC' };
const seen = (ms: number): Map<string, number> => new Map([['backup/nightly/shop/', ms]]);

describe('what is due', () => {
  it('begins with the first look: nothing before it is owed', () => {
    const { slots, marks } = decideDue([schedule(daily)], new Map(), at('2026-05-05T12:00:00Z'));
    expect(slots).toEqual([]);
    expect([...marks.values()]).toEqual([at('2026-05-05T12:00:00Z')]);
  });

  it('runs what came since the last look', () => {
    const nowMs = at('2026-05-06T02:00:10Z');
    const { slots } = decideDue([schedule(daily)], seen(nowMs - 20_000), nowMs);
    expect(slots.map(({ outcome, slotMs }) => [outcome, slotMs])).toEqual([['schedule', at('2026-05-06T02:00:00Z')]]);
  });

  it('catches the newest up once and reports the others, if nothing ran for days', () => {
    const { slots } = decideDue([schedule(daily)], seen(at('2026-05-01T12:00:00Z')), at('2026-05-04T12:00:00Z'));
    expect(slots.map((one) => one.outcome)).toEqual(['missed', 'missed', 'catch-up']);
    expect(slots[0].reason).toBe('nothing ran when it was due');
  });

  it('only reports them where nothing is to be caught up, but lets a short restart count as in time', () => {
    const strict = schedule(daily, { catchUp: false });
    const late = decideDue([strict], seen(at('2026-05-01T12:00:00Z')), at('2026-05-02T12:00:00Z'));
    expect(late.slots.map((one) => one.outcome)).toEqual(['missed']);
    expect(late.slots[0].reason).toContain('not to be caught up');
    const short = decideDue([strict], seen(at('2026-05-02T01:59:00Z')), at('2026-05-02T02:00:00Z') + inTimeMs);
    expect(short.slots.map((one) => one.outcome)).toEqual(['schedule']);
  });

  it('says in one sentence how many more were missed than are reported one by one', () => {
    const often = schedule({ kind: 'interval', everyMs: 60_000 });
    const { slots } = decideDue([often], seen(at('2026-01-01T00:00:00Z')), at('2026-02-01T00:00:00Z'));
    expect(slots).toHaveLength(mostMissed + 1);
    expect(slots[0].reason).toContain(`${31 * 1440 - mostMissed - 1} more before it`);
  });

  it('does not wait for a clock that was wrong', () => {
    const nowMs = at('2026-05-06T01:00:00Z');
    const { slots, marks } = decideDue([schedule(daily)], seen(at('2099-01-01T00:00:00Z')), nowMs);
    expect(slots).toEqual([]);
    expect([...marks.values()]).toEqual([nowMs]);
  });

  it('puts the slots of an interval off to its window, and makes none of those that would wait for another', () => {
    const window = { fromMinute: 60, toMinute: 300, timezone: 'UTC' };
    const every = schedule({ kind: 'interval', everyMs: 2 * hour }, { window });
    const { slots } = decideDue([every], seen(at('2026-05-05T12:00:00Z')), at('2026-05-06T12:00:00Z'));
    expect(slots.map((one) => new Date(one.slotMs).toISOString().slice(11, 16))).toEqual(['00:00', '02:00', '04:00']);
  });

  it('knows when to look again', () => {
    const nowMs = at('2026-05-05T12:00:00Z');
    expect(nextDueMs([schedule(daily), schedule({ kind: 'interval', everyMs: 5 * hour })], nowMs)).toBeLessThan(
      at('2026-05-05T17:00:00Z'),
    );
    expect(nextDueMs([], nowMs)).toBeUndefined();
  });
});

const timings = fc.oneof(
  fc.record({
    kind: fc.constant('interval' as const),
    everyMs: fc.integer({ min: 10, max: 2000 }).map((minutes) => minutes * 60_000),
  }),
  fc
    .tuple(
      fc.integer({ min: 0, max: 59 }),
      fc.constantFrom('*', '2', '*/6', '1-3'),
      fc.constantFrom('UTC', 'Europe/Madrid', 'America/New_York'),
    )
    .map(([minute, hours, timezone]) => ({ kind: 'cron' as const, cron: `${minute} ${hours} * * *`, timezone })),
);

it('decides every slot exactly once, whenever somebody looked and whenever nobody did', () => {
  fc.assert(
    fc.property(
      timings,
      fc.boolean(),
      fc.array(fc.oneof(fc.integer({ min: 1, max: 90 }), fc.integer({ min: 600, max: 6000 })), {
        minLength: 1,
        maxLength: 60,
      }),
      (timing, catchUp, gaps) => {
        const one = schedule(timing, { catchUp });
        const beginMs = at('2026-03-27T00:00:00Z');
        const marks = seen(beginMs);
        const decided: { slotMs: number; reason?: string }[] = [];
        let nowMs = beginMs;
        for (const gap of gaps) {
          nowMs += gap * 60_000;
          const made = decideDue([one], marks, nowMs);
          decided.push(...made.slots);
          for (const [key, mark] of made.marks) marks.set(key, mark);
          expect(made.slots.filter(({ outcome }) => outcome !== 'missed').length).toBeLessThanOrEqual(1);
          if (catchUp && made.slots.length > 0) expect(made.slots.at(-1)!.outcome).not.toBe('missed');
        }
        const all = firingsBetween(timing, { afterMs: beginMs, toMs: nowMs, most: 1_000_000 }).slots;
        const folded = decided.reduce(
          (sum, { reason }) => sum + Number(/and (\d+) more/.exec(reason ?? '')?.[1] ?? 0),
          0,
        );
        const slots = decided.map(({ slotMs }) => slotMs);
        expect(slots.length + folded).toBe(all.length);
        expect(new Set(slots).size).toBe(slots.length);
        const planned = new Set(all);
        expect(slots.every((slot) => planned.has(slot))).toBe(true);
      },
    ),
    { numRuns: 200 },
  );
});

it('makes nothing of a day that was slept through but what the rules say', () => {
  const { slots } = decideDue([schedule({ kind: 'interval', everyMs: hour })], seen(0), day);
  expect(slots.filter(({ outcome }) => outcome === 'missed')).toHaveLength(23);
  expect(slots.at(-1)).toMatchObject({ slotMs: day, outcome: 'schedule' });
});
