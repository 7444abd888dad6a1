import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type PackFigures, type PruneLimits, planPrune } from './prune-plan.ts';

const mib = 1 << 20;

function pack(id: string, usedBytes: number, unusedBytes: number, holds: PackFigures['holds'] = 'data'): PackFigures {
  const sizeBytes = usedBytes + unusedBytes + 100;
  return { id, sizeBytes, usedBytes, unusedBytes, usedBlobs: usedBytes > 0 ? 1 : 0, holds };
}

function ids(packs: readonly PackFigures[]): string[] {
  return packs.map(({ id }) => id);
}

const anyPacks = fc.array(
  fc.record({
    used: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 20 * mib })),
    unused: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 20 * mib })),
    holds: fc.constantFrom('data' as const, 'tree' as const, 'both' as const),
  }),
  { maxLength: 60 },
);
const anyLimits: fc.Arbitrary<PruneLimits> = fc.record(
  { maxUnused: fc.double({ min: 0, max: 1, noNaN: true }), maxRepackBytes: fc.integer({ min: 0, max: 400 * mib }) },
  { requiredKeys: [] },
);

test('every pack has one fate, and none that is needed is removed', () => {
  fc.assert(
    fc.property(anyPacks, anyLimits, (figures, limits) => {
      const packs = figures.map(({ used, unused, holds }, i) => pack(`p${i}`, used, unused, holds));
      const plan = planPrune(packs, limits);
      const fates = [...plan.remove, ...plan.repack, ...plan.keep];
      expect(fates).toHaveLength(packs.length);
      expect(new Set(fates)).toEqual(new Set(packs));
      expect(plan.remove.every(({ usedBlobs }) => usedBlobs === 0)).toBe(true);
      expect([...plan.repack, ...plan.keep].every(({ usedBlobs }) => usedBlobs > 0)).toBe(true);
      const moved = plan.repack.reduce((sum, one) => sum + one.sizeBytes, 0);
      expect(moved).toBeLessThanOrEqual(limits.maxRepackBytes ?? Number.POSITIVE_INFINITY);
      expect(plan.remainingUnusedBytes).toBe(plan.keep.reduce((sum, one) => sum + one.unusedBytes, 0));
    }),
  );
});

test('without a bound on what is moved, no more waste stays than allowed', () => {
  fc.assert(
    fc.property(anyPacks, fc.double({ min: 0, max: 0.99, noNaN: true }), (figures, maxUnused) => {
      const packs = figures.map(({ used, unused, holds }, i) => pack(`p${i}`, used, unused, holds));
      const { remainingUnusedBytes } = planPrune(packs, { maxUnused });
      const used = packs.reduce((sum, one) => sum + one.usedBytes, 0);
      expect(remainingUnusedBytes).toBeLessThanOrEqual((maxUnused / (1 - maxUnused)) * used);
    }),
  );
});

test('the most wasteful packs are packed anew first, within the allowance others stay', () => {
  const packs = [pack('little', 15 * mib, mib / 2), pack('much', 6 * mib, 10 * mib), pack('none', 16 * mib, 0)];
  const plan = planPrune(packs);
  expect(ids(plan.repack)).toEqual(['much']);
  expect(ids(plan.keep).sort((a, b) => (a < b ? -1 : 1))).toEqual(['little', 'none']);
});

test('trees keep no waste, whatever is allowed for data', () => {
  const packs = [pack('trees', 15 * mib, 1000, 'tree'), pack('data', 100 * mib, 1000)];
  expect(ids(planPrune(packs).repack)).toEqual(['trees']);
});

test('small packs are merged when there are enough of a kind', () => {
  const small = Array.from({ length: 9 }, (_, i) => pack(`s${i}`, mib, 0));
  expect(planPrune(small).repack).toEqual([]);
  expect(planPrune([...small, pack('s9', mib, 0)]).repack).toHaveLength(10);
  expect(planPrune([...small, pack('t', mib, 0, 'tree')]).repack).toEqual([]);
});
