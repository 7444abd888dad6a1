import fc from 'fast-check';
import { expect, it } from 'vitest';
import { concernsAbout, type SourceFacts, safeUntilMs } from './readiness.ts';

const hourMs = 3_600_000;
const nowMs = 1000 * hourMs;
const passed = (hoursAgo: number) => ({
  snapshot: 'abcdef0123',
  startedAtMs: nowMs - hoursAgo * hourMs,
  verdict: 'passed' as const,
});
const newest = (hoursAgo: number) => ({ id: 'a', timeMs: nowMs - hoursAgo * hourMs });

function kinds(facts: Omit<Parameters<typeof concernsAbout>[0], 'nowMs'>): string[] {
  return concernsAbout({ nowMs, ...facts }).map((concern) => concern.kind);
}

it('has no concern about a young snapshot with a young proof', () => {
  expect(kinds({ newest: newest(35), lastProof: passed(100), lastPassed: passed(100) })).toEqual([]);
});

it('says that nothing was ever stored, and nothing else', () => {
  expect(kinds({})).toEqual(['never-backed-up']);
});

it('expects a snapshot within two periods of the schedule, or 36 hours without one', () => {
  const proven = { lastProof: passed(1), lastPassed: passed(1) };
  expect(kinds({ newest: newest(37), ...proven })).toEqual(['snapshot-old']);
  expect(kinds({ newest: newest(37), backupEveryMs: 24 * hourMs, ...proven })).toEqual([]);
  expect(kinds({ newest: newest(49), backupEveryMs: 24 * hourMs, ...proven })).toEqual(['snapshot-old']);
  expect(kinds({ newest: newest(3), backupEveryMs: hourMs, ...proven })).toEqual(['snapshot-old']);
});

it('expects a proof that passed within eight days, or two periods of the drills', () => {
  expect(kinds({ newest: newest(1) })).toEqual(['never-proven']);
  expect(kinds({ newest: newest(1), lastProof: { ...passed(1), verdict: 'failed' }, lastPassed: passed(9) })).toEqual([
    'proof-failed',
  ]);
  expect(kinds({ newest: newest(1), lastProof: passed(193), lastPassed: passed(193) })).toEqual(['proof-old']);
  expect(
    kinds({ newest: newest(1), drillEveryMs: 168 * hourMs, lastProof: passed(193), lastPassed: passed(193) }),
  ).toEqual([]);
});

it('expects no proof where nothing is drilled, but counts one that failed; a disk that may be away has as long for it', () => {
  const proven = { newest: newest(1), lastPassed: passed(9) };
  expect(kinds({ newest: newest(1), isDrilled: false })).toEqual([]);
  expect(kinds({ ...proven, isDrilled: false, lastProof: passed(900) })).toEqual([]);
  expect(kinds({ ...proven, isDrilled: false, lastProof: { ...passed(1), verdict: 'failed' } })).toEqual([
    'proof-failed',
  ]);
  expect(safeUntilMs({ nowMs, newest: newest(1), isDrilled: false })).toBe(nowMs + 35 * hourMs);
  const old = { newest: newest(1), lastProof: passed(300), lastPassed: passed(300), drillEveryMs: 24 * hourMs };
  expect(kinds(old)).toEqual(['proof-old']);
  expect(kinds({ ...old, mayBeAwayMs: 336 * hourMs })).toEqual([]);
});

it('waits for a copy that may be on its way, and says so when two are missing', () => {
  const proven = { newest: newest(30), lastProof: passed(20), lastPassed: passed(20) };
  expect(kinds({ ...proven, behind: 1 })).toEqual([]);
  expect(kinds({ ...proven, behind: 2 })).toEqual(['copies-behind']);
});

it('lets what is in a disk that may be away grow as old as was said, and is not concerned about the copies it lacks', () => {
  const proven = { newest: newest(10 * 24), lastProof: passed(20), lastPassed: passed(20), backupEveryMs: 24 * hourMs };
  expect(kinds({ ...proven, behind: 9, mayBeAwayMs: 14 * 24 * hourMs })).toEqual([]);
  expect(kinds({ ...proven, mayBeAwayMs: 9 * 24 * hourMs })).toEqual(['snapshot-old']);
});

it('says until when nothing but time passes: safe up to that instant, and never again after it', () => {
  const hours = fc.integer({ min: 0, max: 600 });
  const proof = fc.record({
    ...{ snapshot: fc.constant('abc'), startedAtMs: hours.map((ago) => nowMs - ago * hourMs) },
    verdict: fc.constantFrom('passed' as const, 'passed' as const, 'failed' as const),
  });
  const run = fc.record({
    state: fc.constantFrom('succeeded' as const, 'failed' as const, 'missed' as const),
    endedAtMs: hours.map((ago) => nowMs - ago * hourMs),
  });
  const maybe = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(one, { nil: undefined });
  const period = maybe(hours.map((count) => count * hourMs));
  const facts: fc.Arbitrary<Omit<SourceFacts, 'nowMs'>> = fc.record({
    ...{
      backupEveryMs: period,
      drillEveryMs: period,
      mayBeAwayMs: period,
      behind: maybe(fc.integer({ min: 0, max: 3 })),
    },
    newest: maybe(hours.map((ago) => newest(ago))),
    ...{
      lastProof: maybe(proof),
      lastPassed: maybe(proof),
      runs: maybe(fc.record({ backup: maybe(run), drill: maybe(run) })),
    },
  });
  fc.assert(
    fc.property(facts, fc.integer({ min: 0, max: 2000 * hourMs }), (known, laterMs) => {
      const isSafeAt = (ms: number): boolean => concernsAbout({ ...known, nowMs: ms }).length === 0;
      const untilMs = safeUntilMs({ ...known, nowMs });
      const expected = isSafeAt(nowMs) && nowMs + laterMs <= untilMs;
      expect(isSafeAt(nowMs + laterMs)).toBe(expected);
      if (isSafeAt(nowMs)) expect([isSafeAt(untilMs), isSafeAt(untilMs + 1)]).toEqual([true, false]);
    }),
    { numRuns: 2000 },
  );
});
