import { expect, test } from 'vitest';
import { memoryRepository, reopened } from '../../test/support/trial-repository.ts';
import { memoryStorage } from '../storage/memory.ts';
import type { Storage } from '../storage/storage.ts';
import { listLocks, lockRepository } from './locks.ts';

/** A put answers a while after what it stored can be seen, as on a slow disk or far away. */
function slowToAnswer(storage: Storage, answered: Promise<void>): Storage {
  return {
    ...storage,
    put: async (...given) => {
      await storage.put(...given);
      await answered;
    },
  };
}

test('two tasks of one process lock at once: neither takes the other’s new lock for one that is left over', async () => {
  const { place, repository } = await memoryRepository();
  const { promise, resolve } = Promise.withResolvers<void>();
  const slow = lockRepository(reopened(repository, slowToAnswer(memoryStorage(place), promise)), { exclusive: false });
  await expect.poll(() => [...place.keys()].filter((name) => name.startsWith('locks/'))).toHaveLength(1);
  // The first lock is stored, but its maker does not know it yet.
  const quick = await lockRepository(repository, { exclusive: false });
  expect(quick.foundStale).toBe(false);
  resolve();
  const first = await slow;
  expect(await listLocks(repository)).toHaveLength(2);
  await first[Symbol.asyncDispose]();
  await quick[Symbol.asyncDispose]();
  expect(await listLocks(repository)).toEqual([]);
});

test('a lock that could not be stored is left to whoever comes next', async () => {
  const { place, repository } = await memoryRepository();
  const broken = reopened(repository, slowToAnswer(memoryStorage(place), Promise.reject(new Error('gone'))));
  await expect(lockRepository(broken, { exclusive: false })).rejects.toThrow('gone');
  const next = await lockRepository(repository, { exclusive: true });
  expect(next.foundStale).toBe(true);
  await next[Symbol.asyncDispose]();
  expect(await listLocks(repository)).toEqual([]);
});
