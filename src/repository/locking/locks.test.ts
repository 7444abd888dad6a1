import { expect, test } from 'vitest';
import { impatientClock, memoryRepository, reopened } from '../../../test/support/trial-repository.ts';
import type { Clock } from '../../base/clock.ts';
import { memoryStorage } from '../../storage/memory.ts';
import type { Storage } from '../../storage/storage.ts';
import { encodeLock } from '../format/lock.ts';
import { saveUnpacked } from '../sealing/unpacked.ts';
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

test('an early lock is refused when somebody is found who excludes it', async () => {
  const { place, repository } = await memoryRepository();
  const other = await lockRepository(repository, { exclusive: false });
  const [name] = [...place.keys()].filter((one) => one.startsWith('locks/'));
  const early = await lockRepository(repository, { exclusive: false, early: true });
  // Seen only now, as from a storage that is slow to show what was stored.
  const exclusive = encodeLock({
    ...{ timeMs: Date.now(), exclusive: true, hostname: 'elsewhere', username: 'x', pid: 1, uid: 0, gid: 0 },
  });
  await saveUnpacked(repository, 'locks', exclusive);
  await expect(early.confirmed).rejects.toMatchObject({ code: 'repository.locked' });
  expect(early.signal.reason).toMatchObject({ code: 'repository.locked' });
  await early[Symbol.asyncDispose]();
  expect(place.has(name)).toBe(true);
  await other[Symbol.asyncDispose]();
  expect(await listLocks(repository)).toMatchObject([{ hostname: 'elsewhere' }]);
});

test('a lock that the storage acknowledged and lost is stored again, and given up when it is lost every time', async () => {
  const { place, repository } = await memoryRepository();
  const losing = (times: number): Storage => {
    const inner = memoryStorage(place);
    return { ...inner, put: async (...given) => (times-- > 0 ? undefined : await inner.put(...given)) };
  };
  const lock = await lockRepository(reopened(repository, losing(2)), { exclusive: false });
  expect(await listLocks(repository)).toHaveLength(1);
  await lock[Symbol.asyncDispose]();
  const lost = lockRepository(reopened(repository, losing(3)), { exclusive: false });
  await expect(lost).rejects.toMatchObject({ code: 'storage.io' });
});

test('a lock that the storage acknowledged and stored in part is not held', async () => {
  const { place, repository } = await memoryRepository();
  const inner = memoryStorage(place);
  const tearing: Storage = {
    ...inner,
    put: async (name, [first], options) => await inner.put(name, [first.subarray(0, 40)], options),
  };
  await expect(lockRepository(reopened(repository, tearing), { exclusive: false })).rejects.toMatchObject({
    code: 'storage.io',
    message: expect.stringContaining('not whole'),
  });
  expect(await listLocks(repository)).toEqual([]);
});

test('a lock stays as it was while what is stored to keep it fresh is there in part only', async () => {
  const { place, repository } = await memoryRepository();
  const inner = memoryStorage(place);
  let isTearing = false;
  const tearing: Storage = {
    ...inner,
    put: async (name, [first], options) => {
      await inner.put(name, [isTearing ? first.subarray(0, 40) : first], options);
    },
  };
  const pauses: (() => void)[] = [];
  const stopped: Clock = {
    ...impatientClock,
    sleep: async (_ms, { background, signal } = {}) => {
      if (!background) return;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      signal?.addEventListener('abort', reject);
      pauses.push(resolve);
      await promise;
    },
  };
  const held = await lockRepository(reopened(repository, tearing, stopped), { exclusive: false });
  isTearing = true;
  await expect.poll(() => pauses).toHaveLength(1);
  pauses[0](); // it is time to refresh it
  await expect.poll(() => pauses).toHaveLength(2);
  await expect(lockRepository(repository, { exclusive: true })).rejects.toMatchObject({ code: 'repository.locked' });
  isTearing = false;
  pauses[1]();
  await expect.poll(() => pauses).toHaveLength(3);
  await expect(lockRepository(repository, { exclusive: true })).rejects.toMatchObject({ code: 'repository.locked' });
  await held[Symbol.asyncDispose]();
  expect(await listLocks(repository)).toEqual([]);
});

test('what is left of a lock keeps nobody out although it is read wrong now and then', async () => {
  const { place, repository } = await memoryRepository();
  const inner = memoryStorage(place);
  place.set(`locks/${'ab'.repeat(32)}`, Buffer.from('half of a lock'));
  // As from a bad cable: of five readings each comes otherwise, but for the last two.
  let reads = 0;
  const flipping: Storage = {
    ...inner,
    get: async (name, ...how) => {
      const bytes = Buffer.from(await inner.get(name, ...how));
      if (name.startsWith('locks/') && ++reads < 5) bytes[reads] ^= 1;
      return bytes;
    },
  };
  const lock = await lockRepository(reopened(repository, flipping), { exclusive: true });
  expect(lock.foundStale).toBe(true);
  await lock[Symbol.asyncDispose]();
});
