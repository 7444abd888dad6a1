import { expect, test } from 'vitest';
import {
  contentOf,
  makeSnapshot,
  memoryRepository,
  noise,
  readSnapshot,
  reopened,
} from '../../../test/support/trial-repository.ts';
import { HoldfastError } from '../../base/errors.ts';
import { memoryStorage } from '../../storage/memory.ts';
import type { Storage } from '../../storage/storage.ts';
import { listSnapshots } from '../records/snapshots.ts';

const files = Object.fromEntries(
  Array.from({ length: 40 }, (_, at) => [`d${at % 20}/e${at}/file`, [noise(`${at}`, 50)]]),
);

/** As if it were behind a network. */
function far(storage: Storage): Storage {
  return { ...storage, parallelPuts: 4 };
}

test('The trees of a snapshot are read in blocks, and every file is what it was', async () => {
  const { place, repository } = await memoryRepository();
  const id = await makeSnapshot(repository, files);
  const reads = { near: 0, far: 0 };
  for (const how of ['near', 'far'] as const) {
    const inner = memoryStorage(place);
    const counted: Storage = {
      ...(how === 'far' ? far(inner) : inner),
      get: (...given) => {
        if (given[0].startsWith('data/')) reads[how]++;
        return inner.get(...given);
      },
    };
    expect(await readSnapshot(reopened(repository, counted), id)).toEqual(contentOf(files));
  }
  // Besides the files: one for all of 61 directories.
  expect(reads.near - Object.keys(files).length).toBe(1);
  expect(reads.far - Object.keys(files).length).toBe(1);
});

test('A tree that is damaged in a block is read by itself before it is called damaged; what is added later is found', async () => {
  const { place, repository } = await memoryRepository();
  const id = await makeSnapshot(repository, files);
  const inner = memoryStorage(place);
  let flips = 1;
  const flipping: Storage = {
    ...far(inner),
    get: async (...given) => {
      const bytes = await inner.get(...given);
      if (given[0].startsWith('data/') && bytes.byteLength > 3000 && flips-- > 0) bytes.fill(0);
      return bytes;
    },
  };
  const other = reopened(repository, flipping);
  expect(await readSnapshot(other, id)).toEqual(contentOf(files));
  const more = { ...files, 'new/deep/file': [noise('new', 70)] };
  const second = await makeSnapshot(other, more);
  expect(await readSnapshot(other, second)).toEqual(contentOf(more));
  expect(await listSnapshots(other)).toHaveLength(2);
});

test('A pack that lost its end still gives the trees that lie before it', async () => {
  const { place, repository } = await memoryRepository();
  const id = await makeSnapshot(repository, files);
  const inner = memoryStorage(place);
  let refused = 0;
  const cut: Storage = {
    ...inner,
    get: async (...given) => {
      if (given[0].startsWith('data/') && (given[1]?.length ?? 0) > 3000) {
        refused++;
        throw new HoldfastError({ code: 'storage.io', message: 'the object ends before', remedy: 'None.' });
      }
      return await inner.get(...given);
    },
  };
  expect(await readSnapshot(reopened(repository, cut), id)).toEqual(contentOf(files));
  expect(refused).toBeGreaterThan(0);
});
