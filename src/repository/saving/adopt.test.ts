import { expect, test } from 'vitest';
import {
  contentOf,
  makeSnapshot,
  memoryRepository,
  noise,
  readSnapshot,
  reopened,
} from '../../../test/support/trial-repository.ts';
import { silent } from '../../model/run.ts';
import { memoryStorage } from '../../storage/memory.ts';
import type { Storage } from '../../storage/storage.ts';
import { checkRepository } from '../check/check.ts';
import { forgetSnapshots } from '../prune/forget.ts';
import { prune } from '../prune/prune.ts';
import { rebuildIndex } from '../repair/rebuild-index.ts';
import { adoptPacks } from './adopt.ts';

const files = { 'a/one': [noise('one', 3000)], two: [noise('two', 5000)] };

test('what somebody else pruned between two backups of one process is stored again, not taken for stored', async () => {
  const { place, repository } = await memoryRepository();
  const first = await makeSnapshot(repository, files);
  const other = reopened(repository, memoryStorage(place));
  await forgetSnapshots(other, [first]);
  await prune(other, { maxUnused: 0 }, silent);
  await adoptPacks(repository);
  const second = await makeSnapshot(repository, files, { time: '2026-11-21T03:00:00Z' });
  const fresh = reopened(repository, memoryStorage(place));
  expect(await readSnapshot(fresh, second)).toEqual(contentOf(files));
  expect((await checkRepository(fresh, { readData: true }, silent)).errors).toEqual([]);
});

/** A connection that is lost before any pack is removed. */
function keepingPacks(storage: Storage): Storage {
  return {
    ...storage,
    delete: async (name, ...given) => {
      if (name.startsWith('data/')) throw new Error('connection lost');
      await storage.delete(name, ...given);
    },
  };
}

test('an index that was read before a prune, which was stopped before it removed packs, does not count', async () => {
  const { place, repository } = await memoryRepository();
  const first = await makeSnapshot(repository, files);
  const other = reopened(repository, keepingPacks(memoryStorage(place)));
  await forgetSnapshots(other, [first]);
  await expect(prune(other, { maxUnused: 0 }, silent)).rejects.toThrow('connection lost');
  // Its packs are there, and in no index.
  expect(await adoptPacks(repository)).toMatchObject({ packs: 2 });
  const second = await makeSnapshot(repository, files, { time: '2026-11-21T03:00:00Z' });
  const fresh = reopened(repository, memoryStorage(place));
  expect(await readSnapshot(fresh, second)).toEqual(contentOf(files));
  expect((await checkRepository(fresh, { readData: true }, silent)).errors).toEqual([]);
});

test('what a repair of the index found lost, although its pack is there, is stored again', async () => {
  const { place, repository } = await memoryRepository();
  await makeSnapshot(repository, files);
  const [pack] = [...place].filter(([name]) => name.startsWith('data/')).sort(([, a], [, b]) => b.length - a.length);
  place.set(pack[0], pack[1].subarray(0, pack[1].length / 2)); // the disk lost its end
  await rebuildIndex(reopened(repository, memoryStorage(place)), {}, silent);
  expect(await adoptPacks(repository)).toMatchObject({ packs: 0 });
  const second = await makeSnapshot(repository, files, { time: '2026-11-21T03:00:00Z' });
  expect(await readSnapshot(reopened(repository, memoryStorage(place)), second)).toEqual(contentOf(files));
});

test('packs that another program stored and indexed meanwhile are known, not taken over', async () => {
  const { place, repository } = await memoryRepository();
  await makeSnapshot(repository, files);
  const later = { three: [noise('three', 4000)] };
  await makeSnapshot(reopened(repository, memoryStorage(place)), later, { time: '2026-11-21T03:00:00Z' });
  expect(await adoptPacks(repository)).toEqual({ packs: 0, blobs: 0, unreadable: [] });
  const before = place.size;
  await makeSnapshot(repository, later, { time: '2026-11-22T03:00:00Z' });
  expect(place.size).toBe(before + 1);
});
