import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { StoredSnapshot } from '../model/snapshot.ts';
import { protectedSnapshots } from './protection.ts';
import { applyRetention, type RetentionFacts } from './retention.ts';

function snapshot(id: string, source: string, timeMs: number): StoredSnapshot {
  return { id, timeMs, time: new Date(timeMs).toISOString(), tree: '', paths: ['/x'], tags: [`source:${source}`] };
}

it('protects pinned, newest good and newest proven snapshots of every source', () => {
  const snapshots = [snapshot('a1', 'a', 1), snapshot('a2', 'a', 2), snapshot('a3', 'a', 3), snapshot('b1', 'b', 1)];
  const reasons = protectedSnapshots({
    snapshots,
    pins: new Set(['a1']),
    proofs: [
      { snapshot: 'a1', startedAtMs: 10, verdict: 'passed' },
      { snapshot: 'a3', startedAtMs: 11, verdict: 'passed' },
      { snapshot: 'a3', startedAtMs: 12, verdict: 'failed' },
    ],
  });
  expect(Object.fromEntries(reasons)).toEqual({
    a1: ['pinned', 'newest proven snapshot'],
    a2: ['newest good snapshot'],
    b1: ['newest good snapshot'],
  });
});

it('protects the newest snapshot when every drill failed', () => {
  const reasons = protectedSnapshots({
    snapshots: [snapshot('a1', 'a', 1), snapshot('a2', 'a', 2)],
    pins: new Set(),
    proofs: ['a1', 'a2'].map((id) => ({ snapshot: id, startedAtMs: 1, verdict: 'failed' as const })),
  });
  expect([...reasons.keys()]).toEqual(['a2']);
});

it('together with rules: exactly what the rules keep stays, and what is protected', () => {
  const nowMs = Date.UTC(2026, 11, 1);
  const hourMs = 3_600_000;
  const history = fc.array(
    fc.record({ hoursAgo: fc.nat(9000), pinned: fc.boolean(), drill: fc.constantFrom('none', 'passed', 'failed') }),
    { minLength: 1, maxLength: 40 },
  );
  const count = fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined });
  const rules = fc.record({ last: count, daily: count, monthly: count });
  fc.assert(
    fc.property(history, rules, (made, keep) => {
      const snapshots = made.map(({ hoursAgo }, i) => snapshot(`s${i}`, 'a', nowMs - hoursAgo * hourMs));
      const pins = new Set(snapshots.filter((_, i) => made[i].pinned).map(({ id }) => id));
      const drilled = made.map(({ drill }, i) => ({ snapshot: `s${i}`, startedAtMs: i, verdict: drill }));
      const proofs = drilled.filter(
        (one): one is typeof one & { verdict: 'passed' | 'failed' } => one.verdict !== 'none',
      );
      const protectedBy = protectedSnapshots({ snapshots, pins, proofs });
      const ids = (facts: Omit<RetentionFacts, 'nowMs'>): Set<string> =>
        new Set(
          applyRetention(snapshots, keep, { nowMs, ...facts })
            .filter((one) => one.keep)
            .map((one) => one.snapshot.id),
        );
      expect(ids({ protectedBy })).toEqual(new Set([...ids({}), ...protectedBy.keys()]));
      const newestOf = (verdicts: readonly string[]): number =>
        Math.max(...snapshots.filter((_, i) => verdicts.includes(made[i].drill)).map(({ timeMs }) => timeMs));
      const keptTimes = new Set(snapshots.filter(({ id }) => protectedBy.has(id)).map(({ timeMs }) => timeMs));
      if (made.some(({ drill }) => drill !== 'failed')) expect(keptTimes).toContain(newestOf(['none', 'passed']));
      if (made.some(({ drill }) => drill === 'passed')) expect(keptTimes).toContain(newestOf(['passed']));
      for (const id of pins) expect(protectedBy.has(id)).toBe(true);
    }),
  );
});
