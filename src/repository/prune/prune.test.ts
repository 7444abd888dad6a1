import { beforeAll, describe, expect, test } from 'vitest';
import {
  contentOf,
  copyOf,
  makeSnapshot,
  memoryRepository,
  noise,
  readSnapshot,
  reopened,
  type TrialFiles,
} from '../../../test/support/trial-repository.ts';
import { silent } from '../../model/run.ts';
import { faultyStorage } from '../../storage/faulty.ts';
import { type MemoryPlace, memoryStorage } from '../../storage/memory.ts';
import type { Storage } from '../../storage/storage.ts';
import { checkRepository } from '../check/check.ts';
import { takeInventory } from '../inventory/inventory.ts';
import { lockRepository } from '../locking/locks.ts';
import type { Repository } from '../repository.ts';
import { adoptPacks } from '../saving/adopt.ts';
import { forgetSnapshots } from './forget.ts';
import { type PruneOptions, prune } from './prune.ts';

const kept: TrialFiles = { 'a/keep': [noise('k1', 3000), noise('k2', 300)], 'b/c/deep': [noise('k3', 2000)] };
const mixed: TrialFiles = { ...kept, 'a/gone': [noise('g1', 4000)], 'b/gone': [noise('g2', 100)] };
const alone: TrialFiles = { 'z/only': [noise('o1', 5000)] };

/** Snapshots: `mixed` (forgotten: its packs are partly needed), `kept`, `alone` (forgotten: its packs are not needed). */
let base: { place: MemoryPlace; repository: Repository; id: string };

beforeAll(async () => {
  const { place, repository } = await memoryRepository();
  const first = await makeSnapshot(repository, mixed, { time: '2026-11-19T03:00:00Z' });
  const id = await makeSnapshot(repository, kept, { time: '2026-11-20T03:00:00Z' });
  const last = await makeSnapshot(repository, alone, { time: '2026-11-21T03:00:00Z' });
  await forgetSnapshots(repository, [first, last]);
  base = { place, repository, id };
});

function fresh(wrap: (storage: Storage) => Storage = (storage) => storage) {
  const place = copyOf(base.place);
  return { place, repository: reopened(base.repository, wrap(memoryStorage(place))) };
}

const everything: PruneOptions = { maxUnused: 0 };

async function expectSound(place: MemoryPlace): Promise<void> {
  const repository = reopened(base.repository, memoryStorage(place));
  const { errors } = await checkRepository(repository, { readData: true }, silent);
  expect(errors).toEqual([]);
  expect(await readSnapshot(repository, base.id)).toEqual(contentOf(kept));
}

function names(place: MemoryPlace, folder: string): string[] {
  return [...place.keys()].filter((name) => name.startsWith(`${folder}/`));
}

/** Blobs in all packs, every copy counted. */
async function storedBlobs(repository: Repository): Promise<number> {
  const { index, duplicates } = await takeInventory(repository, () => {});
  return index.size + duplicates.length;
}

test('what no snapshot needs is gone, what one needs stays', async () => {
  const { place, repository } = fresh();
  const result = await prune(repository, everything, silent);
  expect(result).toMatchObject({ packsRemoved: 2, packsRepacked: 2, remainingUnusedBytes: 0, usedBlobs: 7 });
  await expectSound(place);
  const { counts, warnings } = await checkRepository(repository, { readData: true }, silent);
  expect(counts).toMatchObject({ unusedBlobs: 0, unindexedPacks: 0, indexFiles: 1 });
  expect(warnings).toEqual([]);
  expect(names(place, 'locks')).toEqual([]);
});

test('pruning again changes nothing', async () => {
  const { place, repository } = fresh();
  await prune(repository, everything, silent);
  const before = copyOf(place);
  const result = await prune(repository, everything, silent);
  expect(result).toMatchObject({ packsRemoved: 0, packsRepacked: 0, freedBytes: 0 });
  expect(place).toEqual(before);
});

test('the repository can be used on at once by the same process', async () => {
  const { place, repository } = fresh();
  await prune(repository, everything, silent);
  const id = await makeSnapshot(repository, mixed, { time: '2026-11-22T03:00:00Z' });
  expect(await readSnapshot(repository, id)).toEqual(contentOf(mixed));
  await expectSound(place);
});

test('a dry run says the same and changes nothing', async () => {
  const { place, repository } = fresh();
  const result = await prune(repository, { ...everything, dryRun: true }, silent);
  expect(place).toEqual(base.place);
  expect(result).toMatchObject({ dryRun: true, packsRemoved: 2, packsRepacked: 2 });
  expect(result.freedBytes).toBeGreaterThan(9000);
});

test('waste within the allowance stays where it is', async () => {
  const { place, repository } = fresh();
  const result = await prune(repository, { maxUnused: 0.9 }, silent);
  expect(result.packsRemoved).toBe(2);
  expect(result.remainingUnusedBytes).toBeGreaterThan(4000);
  await expectSound(place);
});

test('nothing is packed anew beyond the bound', async () => {
  const { place, repository } = fresh();
  const result = await prune(repository, { ...everything, maxRepackBytes: 10 }, silent);
  expect(result).toMatchObject({ packsRemoved: 2, packsRepacked: 0 });
  await expectSound(place);
});

test('a blob stored twice is kept once', async () => {
  const { place, repository } = fresh();
  // Two writers that knew nothing of one another.
  const other = reopened(
    base.repository,
    memoryStorage(new Map([...place].filter(([name]) => !/^(data|index|snap)/.test(name)))),
  );
  const id = await makeSnapshot(other, kept, { time: '2026-11-23T03:00:00Z' });
  for await (const folder of ['data', 'index', 'snapshots']) {
    for await (const { name } of other.storage.list(folder)) place.set(name, await other.storage.get(name));
  }
  const result = await prune(repository, everything, silent);
  expect(result).toMatchObject({ packsRemoved: 4, remainingUnusedBytes: 0, usedBlobs: 7 });
  const { counts } = await checkRepository(repository, { readData: true }, silent);
  expect(counts).toMatchObject({ blobs: 7, unusedBlobs: 0 });
  expect(await storedBlobs(repository)).toBe(7);
  await expectSound(place);
  expect(await readSnapshot(reopened(repository, memoryStorage(place)), id)).toEqual(contentOf(kept));
});

test('many small packs and index files become few', async () => {
  const { place, repository } = fresh();
  for (let i = 0; i < 12; i++) {
    await makeSnapshot(repository, { [`f${i}`]: [noise(`f${i}`, 500)] }, { time: `2026-11-23T04:00:${10 + i}Z` });
  }
  const result = await prune(repository, {}, silent);
  expect(result.packsRepacked).toBeGreaterThanOrEqual(24);
  expect(names(place, 'data').length).toBeLessThan(6);
  expect(names(place, 'index')).toHaveLength(1);
  await expectSound(place);
});

test('files it does not know are left alone', async () => {
  const { place, repository } = fresh();
  const strange = ['data/notes.txt', `data/00/${'f'.repeat(64)}`, 'index/README', 'holdfast/pins/abc', 'other/thing'];
  for (const name of strange) place.set(name, noise(name, 20));
  await prune(repository, everything, silent);
  for (const name of strange) expect(place.has(name), name).toBe(true);
});

describe('packs in no index', () => {
  test('are indexed if they hold what is needed: a lost index file loses nothing', async () => {
    const { place, repository } = fresh();
    for (const name of names(place, 'index')) place.delete(name);
    const result = await prune(repository, everything, silent);
    expect(result.usedBlobs).toBe(7);
    await expectSound(place);
  });

  test('are removed if they hold nothing that is needed, or nothing that can be read', async () => {
    const { place, repository } = fresh();
    await prune(repository, everything, silent);
    const packs = names(place, 'data');
    for (const [name, bytes] of base.place) if (name.startsWith('data/')) place.set(name, bytes);
    const torn = noise('torn', 32).toString('hex');
    place.set(`data/${torn.slice(0, 2)}/${torn}`, noise('cut short', 77));
    const result = await prune(repository, everything, silent);
    expect(result.packsRemoved).toBe(names(base.place, 'data').filter((name) => !packs.includes(name)).length + 1);
    expect(new Set(names(place, 'data'))).toEqual(new Set(packs));
    await expectSound(place);
  });
});

describe('nothing is removed', () => {
  async function expectRefusal(place: MemoryPlace, message: RegExp | string): Promise<void> {
    const before = copyOf(place);
    const repository = reopened(base.repository, memoryStorage(place));
    await expect(prune(repository, everything, silent)).rejects.toMatchObject({
      code: 'repository.damaged',
      message: typeof message === 'string' ? expect.stringContaining(message) : expect.stringMatching(message),
    });
    expect(place).toEqual(before);
  }

  /** A pack that the remaining snapshot needs. */
  async function neededPack(place: MemoryPlace): Promise<string> {
    const pruned = copyOf(place);
    await prune(reopened(base.repository, memoryStorage(pruned)), { maxRepackBytes: 0 }, silent);
    return names(pruned, 'data').sort((a, b) => pruned.get(b)!.byteLength - pruned.get(a)!.byteLength)[0];
  }

  test('if a needed pack is missing: it is named', async () => {
    const { place } = fresh();
    const name = await neededPack(place);
    place.delete(name);
    await expectRefusal(place, name.slice(8));
  });

  test('if a needed pack was cut short: it is named', async () => {
    const { place } = fresh();
    const name = await neededPack(place);
    place.set(name, place.get(name)!.subarray(0, -7));
    await expectRefusal(place, name.slice(8));
  });

  test('if a blob that has to move is damaged: its pack is named', async () => {
    const { place } = fresh();
    const name = await neededPack(place);
    const bytes = Buffer.from(place.get(name)!);
    bytes[20] ^= 1;
    bytes[bytes.byteLength - 1200] ^= 1;
    for (let at = 0; at < 6000; at += 500) bytes[at] ^= 1;
    place.set(name, bytes);
    const before = copyOf(place);
    const repository = reopened(base.repository, memoryStorage(place));
    await expect(prune(repository, everything, silent)).rejects.toMatchObject({
      message: expect.stringContaining(name.slice(8)),
    });
    for (const stored of before.keys()) expect(place.has(stored), stored).toBe(true);
  });

  test('if a snapshot cannot be read', async () => {
    const { place } = fresh();
    place.set(`snapshots/${'a'.repeat(64)}`, noise('no snapshot', 50));
    await expectRefusal(place, /snapshots\/aaaa/);
  });

  test('if an index file cannot be read', async () => {
    const { place } = fresh();
    place.set(`index/${'b'.repeat(64)}`, noise('no index', 50));
    await expectRefusal(place, /index file bbbb/);
  });

  test('if another process works on the repository', async () => {
    const { place, repository } = fresh();
    await using _lock = await lockRepository(repository, { exclusive: false });
    await expect(prune(repository, everything, silent)).rejects.toMatchObject({ code: 'repository.locked' });
    expect(names(place, 'data')).toHaveLength(names(base.place, 'data').length);
  });

  test('if a snapshot appears in spite of the lock', async () => {
    const { place, repository } = fresh((inner) => ({
      ...inner,
      put: async (name, parts, options) => {
        await inner.put(name, parts, options);
        if (name.startsWith('index/')) place.set(`snapshots/${'c'.repeat(64)}`, noise('late', 50));
      },
    }));
    await expect(prune(repository, everything, silent)).rejects.toMatchObject({ code: 'repository.lock-lost' });
    for (const name of names(base.place, 'data')) expect(place.has(name)).toBe(true);
  });
});

describe('stopped at any change of the storage', () => {
  /** From the k-th put or delete on nothing works any more. `test/crash/` stops at every call, in more ways. */
  async function stopped(k: number): Promise<{ place: MemoryPlace; struck: boolean }> {
    const { place } = fresh();
    const rules = [{ fault: { kind: 'error-before' }, operations: ['put', 'delete'], from: k }] as const;
    const storage = faultyStorage(memoryStorage(place), { seed: 1, rules });
    await prune(reopened(base.repository, storage), everything, silent).catch(() => undefined);
    return { place, struck: storage.injected.length > 0 };
  }

  test('nothing is lost, and the next prune or backup goes on from there', async () => {
    let changes = 0;
    for (let k = 1; ; k++) {
      const { place, struck } = await stopped(k);
      if (!struck) break;
      changes = k;
      await expectSound(place);
      const next = reopened(base.repository, memoryStorage(place));
      if (k % 3 === 0) await prune(next, everything, silent);
      if (k % 3 === 1) await adoptPacks(next);
      if (k % 3 === 0) await expectSound(place);
    }
    expect(changes).toBeGreaterThan(12);
  }, 240_000);
});
