import { beforeAll, describe, expect, test } from 'vitest';
import {
  contentOf,
  copyOf,
  makeSnapshot,
  memoryRepository,
  noise,
  readSnapshot,
  reopened,
} from '../../../test/support/trial-repository.ts';
import { silent } from '../../model/run.ts';
import { type MemoryPlace, memoryStorage } from '../../storage/memory.ts';
import type { Repository } from '../repository.ts';
import { type CheckOptions, type CheckResult, checkRepository } from './check.ts';
import { choosePacks } from './subset.ts';

const shared = noise('shared', 5000);
const older = { 'a/one': [noise('one', 3000), shared], 'a/b/two': [shared], three: [noise('three', 100)] };
const newer = { ...older, 'a/one': [noise('one', 3000), noise('new', 2000)] };

let base: { place: MemoryPlace; repository: Repository; first: string; second: string };

beforeAll(async () => {
  const { place, repository } = await memoryRepository();
  const first = await makeSnapshot(repository, older, { time: '2026-11-20T03:00:00Z' });
  const second = await makeSnapshot(repository, newer, { time: '2026-11-21T03:00:00Z' });
  base = { place, repository, first, second };
});

/** The check of a copy that was changed. */
async function checked(
  change: (place: MemoryPlace) => unknown,
  options: CheckOptions = { readData: true },
): Promise<CheckResult> {
  const place = copyOf(base.place);
  await change(place);
  return await checkRepository(reopened(base.repository, memoryStorage(place)), options, silent);
}

function names(place: MemoryPlace, folder: string): string[] {
  return [...place.keys()].filter((name) => name.startsWith(`${folder}/`));
}

/** The pack that holds the data of the first snapshot: the largest. */
function largestPack(place: MemoryPlace): string {
  return names(place, 'data').sort((a, b) => place.get(b)!.byteLength - place.get(a)!.byteLength)[0];
}

function flip(place: MemoryPlace, name: string, at: number): void {
  const bytes = Buffer.from(place.get(name)!);
  bytes[at < 0 ? bytes.byteLength + at : at] ^= 1;
  place.set(name, bytes);
}

test('a sound repository has no fault, and the figures are right', async () => {
  const result = await checked(() => {});
  expect(result.errors).toEqual([]);
  expect(result.warnings).toEqual([]);
  expect(result.affected).toEqual([]);
  expect(result.counts).toMatchObject({
    snapshots: 2,
    packs: 4,
    packsRead: 4,
    indexFiles: 2,
    unusedBlobs: 0,
    trees: 5,
  });
  expect(result.counts.bytesRead).toBe(result.counts.packBytes);
  expect(await readSnapshot(base.repository, base.second)).toEqual(contentOf(newer));
});

test('checking leaves the repository as it was', async () => {
  const before = copyOf(base.place);
  await checkRepository(base.repository, { readData: true }, silent);
  expect(base.place).toEqual(before);
});

describe('without reading data', () => {
  const structure = { readData: false };

  test('a missing pack is named, and the snapshots and paths that need it', async () => {
    let lost = '';
    const result = await checked((place) => {
      lost = largestPack(place);
      place.delete(lost);
    }, structure);
    expect(result.errors.map(({ kind }) => kind)).toContain('pack-missing');
    expect(result.errors.find(({ kind }) => kind === 'pack-missing')?.subject).toBe(lost);
    expect(result.affected.map(({ snapshot }) => snapshot.id)).toEqual([base.first, base.second]);
    expect(result.affected[0].paths).toEqual(['/a/b/two', '/a/one', '/three']);
  });

  test('a pack of another length is damaged', async () => {
    const result = await checked((place) => {
      const name = largestPack(place);
      place.set(name, place.get(name)!.subarray(0, -10));
    }, structure);
    expect(result.errors.map(({ kind }) => kind)).toContain('pack-damaged');
    expect(result.affected).toHaveLength(2);
  });

  test('an index file that does not open is an error; what only it names is missing', async () => {
    const result = await checked((place) => flip(place, names(place, 'index')[0], 40), structure);
    expect(result.errors.map(({ kind }) => kind)).toContain('index-damaged');
    expect(result.errors.map(({ kind }) => kind)).toContain('blob-missing');
    expect(result.counts.unindexedPacks).toBe(2);
  });

  test('a lost index file leaves packs in no index, which is a warning, and blobs that are missing', async () => {
    const result = await checked((place) => place.delete(names(place, 'index')[1]), structure);
    expect(result.warnings.map(({ kind }) => kind)).toEqual(['pack-unindexed', 'pack-unindexed']);
    expect(result.affected.map(({ snapshot }) => snapshot.id)).toEqual([base.second]);
  });

  test('a damaged snapshot file is an error, the others are checked', async () => {
    const result = await checked((place) => flip(place, `snapshots/${base.first}`, 30), structure);
    expect(result.errors.map(({ kind, subject }) => [kind, subject])).toEqual([
      ['snapshot-damaged', `snapshots/${base.first}`],
    ]);
    expect(result.counts.snapshots).toBe(1);
  });

  test('what no snapshot needs is counted', async () => {
    const result = await checked((place) => place.delete(`snapshots/${base.second}`), structure);
    expect(result.errors).toEqual([]);
    expect(result.counts.unusedBlobs).toBe(3);
    expect(result.counts.unusedBytes).toBeGreaterThan(2000);
  });

  test('files that are not named like packs are passed over', async () => {
    const result = await checked((place) => place.set('data/00/notes.txt', noise('x', 10)), structure);
    expect([...result.errors, ...result.warnings]).toEqual([]);
  });
});

describe('reading data', () => {
  test.each([
    ['in a blob', 20],
    ['in the header', -20],
    ['in the length of the header', -3],
  ])('a bit that flipped %s is found', async (_where, at) => {
    const result = await checked((place) => flip(place, largestPack(place), at));
    expect(result.errors.map(({ kind }) => kind)).toContain('pack-damaged');
  });

  test('a damaged blob is named with the paths that need it, others are not', async () => {
    const result = await checked((place) => flip(place, largestPack(place), 20));
    expect(result.errors.filter(({ kind }) => kind === 'blob-damaged')).toHaveLength(1);
    expect(result.affected.map(({ paths }) => paths)).toEqual([['/a/one'], ['/a/one']]);
  });

  test('a damaged header loses no blob, so that no snapshot is affected', async () => {
    const result = await checked((place) => flip(place, largestPack(place), -20));
    expect(result.errors.map(({ kind }) => kind)).not.toContain('blob-damaged');
    expect(result.affected).toEqual([]);
  });

  test('a damaged tree is found and named', async () => {
    const result = await checked(async (place) => {
      const trees = names(place, 'data').filter((name) => name !== largestPack(place));
      for (const name of trees) flip(place, name, 20);
    });
    expect(result.errors.map(({ kind }) => kind)).toContain('tree-damaged');
    expect(result.affected.length).toBeGreaterThan(0);
  });

  test('a torn pack that no index names harms nothing', async () => {
    const id = noise('torn', 32).toString('hex');
    const result = await checked((place) => place.set(`data/${id.slice(0, 2)}/${id}`, noise('half', 900)));
    expect(result.errors).toEqual([]);
    expect(result.warnings.map(({ kind }) => kind)).toContain('leftover-damaged');
  });

  test('every bit of a pack counts', async () => {
    const { place } = base;
    const name = largestPack(place);
    const size = place.get(name)!.byteLength;
    for (let at = 0; at < size; at += Math.ceil(size / 12)) {
      const result = await checked((copy) => flip(copy, name, at));
      expect(result.errors, `byte ${at}`).not.toEqual([]);
    }
  });
});

describe('a subset', () => {
  const sizes = new Map(Array.from({ length: 512 }, (_, i) => [noise(`p${i}`, 32).toString('hex'), 100]));

  test('parts cover every pack once', () => {
    const parts = [1, 2, 3].flatMap((part) => choosePacks(sizes, `${part}/3`));
    expect(parts).toHaveLength(sizes.size);
    expect(new Set(parts)).toEqual(new Set(sizes.keys()));
  });

  test('a share or a number of bytes is about that much', () => {
    expect(choosePacks(sizes, '10%')).toHaveLength(52);
    expect(choosePacks(sizes, 1000)).toHaveLength(10);
    expect(new Set(choosePacks(sizes, '100%')).size).toBe(512);
    expect(choosePacks(sizes, 1e9)).toHaveLength(512);
  });

  test.each(['0/3', '4/3', '1/300', '0%', '101%', 'some'])('%s is refused', (subset) => {
    expect(() => choosePacks(sizes, subset)).toThrow(/no subset/);
  });

  test('only its packs are read', async () => {
    const result = await checked(() => {}, { readData: { subset: 1 } });
    expect(result.counts.packsRead).toBe(1);
  });
});
