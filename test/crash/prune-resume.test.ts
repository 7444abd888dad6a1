/** A prune that was stopped is gone on with: what was packed anew by then is not packed anew again. */
import { beforeAll, describe, expect, test } from 'vitest';
import { silent } from '../../src/model/run.ts';
import { checkRepository, forgetSnapshots, prune, type Repository } from '../../src/repository/index.ts';
import { type MemoryPlace, memoryStorage } from '../../src/storage/memory.ts';
import type { Storage } from '../../src/storage/storage.ts';
import {
  contentOf,
  copyOf,
  makeSnapshot,
  memoryRepository,
  noise,
  readSnapshot,
  reopened,
} from '../support/trial-repository.ts';

const fileBytes = 1 << 20;
const files = Object.fromEntries(
  Array.from({ length: 80 }, (_, i) => [`f${String(i).padStart(2, '0')}`, [noise(`file ${i}`, fileBytes)]]),
);
/** Every second file: each pack is half needed, so that all have to be packed anew. */
const kept = Object.fromEntries(Object.entries(files).filter((_, i) => i % 2 === 0));
const neededBytes = Object.keys(kept).length * fileBytes;
/** Packs that are being filled or uploaded when a run ends are lost: two workers have one of 16 MiB each, three wait. */
const everything = { maxUnused: 0 };

let base: { place: MemoryPlace; repository: Repository; id: string };

beforeAll(async () => {
  const { place, repository } = await memoryRepository();
  const first = await makeSnapshot(repository, files, { time: '2026-11-19T03:00:00Z' });
  const id = await makeSnapshot(repository, kept, { time: '2026-11-20T03:00:00Z' });
  await forgetSnapshots(repository, [first]);
  base = { place, repository, id };
});

/** Counts bytes put into packs; `afterPut` is told how many packs there were. */
function counting(
  place: MemoryPlace,
  afterPut: (packs: number) => void,
): { storage: Storage; counts: { packs: number; bytes: number } } {
  const inner = memoryStorage(place);
  const counts = { packs: 0, bytes: 0 };
  const put: Storage['put'] = async (name, parts, options) => {
    await inner.put(name, parts, options);
    if (!name.startsWith('data/')) return;
    counts.packs++;
    counts.bytes += place.get(name)!.byteLength;
    afterPut(counts.packs);
  };
  return { storage: { ...inner, put }, counts };
}

async function expectSound(place: MemoryPlace): Promise<void> {
  const repository = reopened(base.repository, memoryStorage(place));
  expect((await checkRepository(repository, { readData: true }, silent)).errors).toEqual([]);
  expect(await readSnapshot(repository, base.id)).toEqual(contentOf(kept));
}

/** Goes on after a stop; the bytes stored before and after together are what is needed once. */
async function expectGoesOn(place: MemoryPlace, before: number): Promise<void> {
  await expectSound(place);
  const { storage, counts } = counting(place, () => {});
  const result = await prune(reopened(base.repository, storage), everything, silent);
  expect(result.remainingUnusedBytes).toBe(0);
  expect(before + counts.bytes).toBeLessThan(neededBytes * 1.02);
  await expectSound(place);
  const total = [...place]
    .filter(([name]) => name.startsWith('data/'))
    .reduce((sum, [, bytes]) => sum + bytes.byteLength, 0);
  expect(total).toBeLessThan(neededBytes * 1.02);
}

/** STOPS=2: after one pack and after two; the usual run only after the first. */
const stops = Array.from({ length: Number(process.env.STOPS ?? 1) }, (_, i) => i + 1);

describe.each(stops)('stopped after %i packs', (stopAfter) => {
  test('by Ctrl-C', async () => {
    const place = copyOf(base.place);
    const stop = new AbortController();
    const { storage, counts } = counting(place, (packs) => {
      if (packs === stopAfter) stop.abort(new Error('Ctrl-C'));
    });
    const stopped = prune(reopened(base.repository, storage), everything, silent, stop.signal);
    await expect(stopped).rejects.toThrow();
    await expectGoesOn(place, counts.bytes);
  });

  test('by kill -9: nothing of it is in an index', async () => {
    const place = copyOf(base.place);
    let dead = false;
    const { storage, counts } = counting(place, (packs) => {
      dead ||= packs === stopAfter;
    });
    const dying = new Proxy(storage, {
      get: (target, key: keyof Storage) => {
        if (dead && (key === 'put' || key === 'delete')) throw new Error('killed');
        return target[key];
      },
    });
    await expect(prune(reopened(base.repository, dying), everything, silent)).rejects.toThrow();
    await expectGoesOn(place, counts.bytes);
  });
});

test('with no time left nothing is packed anew, and the next prune does it', async () => {
  const place = copyOf(base.place);
  const repository = reopened(base.repository, memoryStorage(place));
  const result = await prune(repository, { ...everything, maxTimeMs: 0 }, silent);
  expect(result.packsRepacked).toBe(0);
  expect(result.packsLeft).toBeGreaterThan(3);
  expect(result.remainingUnusedBytes).toBeGreaterThan(30 * fileBytes);
  await expectGoesOn(place, 0);
});

test('with a bound on what is packed anew, several prunes come to the same as one', async () => {
  const place = copyOf(base.place);
  let repacked = 0;
  for (let runs = 1; ; runs++) {
    const { storage, counts } = counting(place, () => {});
    const result = await prune(reopened(base.repository, storage), { ...everything, maxRepackBytes: 35 << 20 }, silent);
    expect(result.repackedBytes).toBeLessThanOrEqual(35 << 20);
    repacked += counts.bytes;
    if (result.remainingUnusedBytes === 0) break;
    expect(runs).toBeLessThan(6);
  }
  expect(repacked).toBeLessThan(neededBytes * 1.02);
  await expectSound(place);
});
