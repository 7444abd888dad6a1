/** Copies between repositories that change, are pruned, and are stopped at every single call of the storage. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { matchCopies } from '../../src/policy/copies.ts';
import { forgetSnapshots, listSnapshots, prune } from '../../src/repository/index.ts';
import type { FaultRule } from '../../src/storage/faulty.ts';
import { memoryStorage } from '../../src/storage/memory.ts';
import { copy, dayAt, expectSound, fresh, names, type Side, snapshotsOf, twoSides } from '../support/trial-copies.ts';
import {
  contentOf,
  makeSnapshot,
  noise,
  readSnapshot,
  reopened,
  type TrialFiles,
} from '../support/trial-repository.ts';

const small: TrialFiles = { 'a/one': [noise('one', 3000)], 'a/b/two': [noise('two', 5000)], three: [noise('3', 40)] };

/** Random histories: files that come, change and go; snapshots that either side forgets and prunes. */
const content = fc.integer({ min: 0, max: 30 }).map((n) => [noise(`c${n}`, 200 + n * 97)]);
const path = fc.constantFrom('a', 'b/c', 'b/d', 'e/f/g', 'e/f/h');
const files = fc.dictionary(path, content, { minKeys: 1 }).map((one): TrialFiles => ({ ...one, z: [noise('z', 100)] }));
const step = fc.oneof(
  { weight: 4, arbitrary: files.map((stored) => ({ kind: 'backup', stored }) as const) },
  { weight: 2, arbitrary: fc.constant({ kind: 'copy' } as const) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('forget' as const), here: fc.boolean(), which: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('killed' as const), call: fc.integer({ min: 1, max: 25 }) }) },
);

describe('after any history', () => {
  test('everything that is chosen is over there, whole, and nothing of it twice', { timeout: 120_000 }, async () => {
    const runs = Number(process.env.COPY_HISTORIES ?? 8);
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 9 }), async (steps) => {
        const { from, to } = await twoSides();
        const stored = new Map<string, TrialFiles>();
        for (const [i, one] of steps.entries()) await take(one, i + 1, { from, to, stored });
        await copy(from, to);
        await expectAllThere(from, to, stored);
      }),
      { numRuns: runs },
    );
  });
});

type Step = typeof step extends fc.Arbitrary<infer One> ? One : never;

async function take(one: Step, day: number, { from, to, stored }: Copies): Promise<void> {
  switch (one.kind) {
    case 'backup': {
      const repository = reopened(from.repository, memoryStorage(from.place));
      stored.set(await makeSnapshot(repository, one.stored, { time: dayAt(day) }), one.stored);
      return;
    }
    case 'forget':
      return await forgetOne(one.here ? from : to, one.which);
    case 'killed':
      await copy(from, to, { rules: [{ fault: { kind: 'error-before' }, from: one.call }] }).catch(() => undefined);
      return;
    case 'copy':
      await copy(from, to);
  }
}

interface Copies {
  readonly from: Side;
  readonly to: Side;
  readonly stored: Map<string, TrialFiles>;
}

async function forgetOne(side: Side, which: number): Promise<void> {
  const repository = reopened(side.repository, memoryStorage(side.place));
  const one = (await listSnapshots(repository)).at(which);
  // What a killed run left locked stays so until its lock is stale.
  for (const name of names(side, 'locks')) side.place.delete(name);
  if (one) await forgetSnapshots(repository, [one.id]);
  await prune(reopened(side.repository, memoryStorage(side.place)), { maxUnused: 0 }, () => {});
}

async function expectAllThere(from: Side, to: Side, stored: ReadonlyMap<string, TrialFiles>): Promise<void> {
  const { missing, present } = matchCopies(await snapshotsOf(from), await snapshotsOf(to));
  expect(missing).toEqual([]);
  const handle = reopened(to.repository, memoryStorage(to.place));
  for (const { snapshot, copy: there } of present) {
    expect(await readSnapshot(handle, there.id)).toEqual(contentOf(stored.get(snapshot.id)!));
  }
  await expectSound(to);
  const before = new Set(to.place.keys());
  expect((await copy(from, to)).copied).toEqual([]);
  expect(new Set(to.place.keys())).toEqual(before);
}

/** 1 stops at every call; the usual run takes every second, the two effects in turn. */
const stride = Number(process.env.KILL_STEP ?? 2);

describe('stopped at any call of the storage', () => {
  const history: TrialFiles[] = [small, { ...small, four: [noise('four', 6000)] }, { five: [noise('five', 900)] }];

  test.each(['error-before', 'error-after'] as const)(
    'leaves it sound, and the next run finishes (%s)',
    async (effect) => {
      const { from, to: empty } = await twoSides();
      for (const [i, one] of history.entries()) await makeSnapshot(from.repository, one, { time: dayAt(i + 1) });
      for (let k = effect === 'error-before' ? 1 : stride; ; k += stride) {
        const to = fresh(empty);
        const rules: FaultRule[] =
          effect === 'error-before'
            ? [{ fault: { kind: effect }, from: k }]
            : [
                { fault: { kind: effect }, calls: [k] },
                { fault: { kind: 'error-before' }, from: k + 1 },
              ];
        const ended = await copy(from, to, { rules }).then(
          () => true,
          () => false,
        );
        await expectSound(to);
        const sent = names(to, 'data');
        await copy(from, to);
        // Packs that arrived stay as they are: nothing of them is stored again.
        expect(names(to, 'data')).toEqual(expect.arrayContaining(sent));
        expect(matchCopies(await snapshotsOf(from), await snapshotsOf(to)).missing).toEqual([]);
        await expectSound(to);
        await expectNoDuplicates(to);
        if (ended) return expect(k).toBeGreaterThan(8);
      }
    },
  );
});

async function expectNoDuplicates(side: Side): Promise<void> {
  const before = names(side, 'data').length;
  await prune(reopened(side.repository, memoryStorage(side.place)), { maxUnused: 0 }, () => {});
  expect(names(side, 'data').length).toBe(before);
}
