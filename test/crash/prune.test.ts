/** Prune and the rebuild of the index, stopped at every single call of the storage: nothing that a snapshot needs is ever gone. */
import { beforeAll, describe, expect, test } from 'vitest';
import { silent } from '../../src/model/run.ts';
import {
  adoptPacks,
  checkRepository,
  forgetSnapshots,
  prune,
  type Repository,
  rebuildIndex,
} from '../../src/repository/index.ts';
import { type FaultRule, faultyStorage } from '../../src/storage/faulty.ts';
import { type MemoryPlace, memoryStorage } from '../../src/storage/memory.ts';
import {
  contentOf,
  copyOf,
  makeSnapshot,
  memoryRepository,
  noise,
  readSnapshot,
  reopened,
  type TrialFiles,
} from '../support/trial-repository.ts';

const kept: TrialFiles = { 'a/keep': [noise('k1', 3000), noise('k2', 300)], 'b/c/deep': [noise('k3', 2000)] };
const mixed: TrialFiles = { ...kept, 'a/gone': [noise('g1', 4000)], 'b/gone': [noise('g2', 100)] };

let base: { place: MemoryPlace; repository: Repository; id: string };

beforeAll(async () => {
  const { place, repository } = await memoryRepository();
  const first = await makeSnapshot(repository, mixed, { time: '2026-11-19T03:00:00Z' });
  const id = await makeSnapshot(repository, kept, { time: '2026-11-20T03:00:00Z' });
  const last = await makeSnapshot(repository, { only: [noise('o1', 5000)] }, { time: '2026-11-21T03:00:00Z' });
  await forgetSnapshots(repository, [first, last]);
  base = { place, repository, id };
});

/** Storages that fail at random. */
const seeds = Number(process.env.SEEDS ?? 10);
/** 1 stops at every call; the usual run takes every second, the two effects in turn. */
const step = Number(process.env.KILL_STEP ?? 2);

async function expectSound(place: MemoryPlace, k: number): Promise<void> {
  const repository = reopened(base.repository, memoryStorage(place));
  const { errors } = await checkRepository(repository, { readData: true }, silent);
  expect(errors, `stopped at call ${k}`).toEqual([]);
  expect(await readSnapshot(repository, base.id)).toEqual(contentOf(kept));
}

/** From call `k` on nothing works any more: the process is gone, or the storage. */
function diesAt(k: number, effect: 'error-before' | 'error-after'): FaultRule[] {
  if (effect === 'error-before') return [{ fault: { kind: effect }, from: k }];
  return [
    { fault: { kind: effect }, calls: [k] },
    { fault: { kind: 'error-before' }, from: k + 1 },
  ];
}

const everything = { maxUnused: 0 };
const again = (repository: Repository) => prune(repository, everything, silent);
const verbs: Record<string, (repository: Repository) => Promise<unknown>> = {
  prune: again,
  'the rebuild of the index': (repository) => rebuildIndex(repository, {}, silent),
};

async function stopped(verb: string, rules: FaultRule[]): Promise<{ place: MemoryPlace; struck: boolean }> {
  const place = copyOf(base.place);
  const storage = faultyStorage(memoryStorage(place), { seed: 1, rules });
  await verbs[verb](reopened(base.repository, storage)).catch(() => undefined);
  return { place, struck: storage.injected.length > 0 };
}

describe.each(Object.keys(verbs))('%s, stopped at any call', (verb) => {
  test.each(['error-before', 'error-after'] as const)('loses nothing (%s), and can be done again', async (effect) => {
    let calls = 0;
    for (let k = effect === 'error-before' ? 1 : step, turn = 0; ; k += step, turn++) {
      const { place, struck } = await stopped(verb, diesAt(k, effect));
      if (!struck) break;
      calls = k;
      await expectSound(place, k);
      if (turn % 2 === 0) continue;
      await (turn % 4 === 1 ? again : adoptPacks)(reopened(base.repository, memoryStorage(place)));
      await expectSound(place, k);
    }
    expect(calls).toBeGreaterThan(15);
  });

  test('loses nothing on a storage that fails now and then', async () => {
    for (let seed = 1; seed <= seeds; seed++) {
      const place = copyOf(base.place);
      const rules: FaultRule[] = [
        { fault: { kind: 'error-before' }, probability: 0.03 },
        { fault: { kind: 'error-after' }, probability: 0.03 },
        { fault: { kind: 'torn-failure' }, probability: 0.03, names: /^(data|index)/ },
        { fault: { kind: 'bit-flip' }, probability: 0.03, names: /^(data|index|snapshots)/ },
      ];
      const storage = faultyStorage(memoryStorage(place), { seed, rules });
      await verbs[verb](reopened(base.repository, storage)).catch(() => undefined);
      // A torn index file is an error of the check, but never the only one that names a pack.
      const sound = reopened(base.repository, memoryStorage(place));
      await rebuildIndex(sound, {}, silent);
      await expectSound(place, seed);
    }
  });
});
