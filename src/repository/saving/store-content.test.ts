import { hash } from 'node:crypto';
import { afterEach, expect, test, vi } from 'vitest';
import { makeRepository, noise, type TestRepository, unevenStream } from '../../../test/fixtures/repository.ts';
import { HoldfastError } from '../../base/errors.ts';
import { chunkerTables, chunkLimits, scanCandidates, selectCuts } from '../cutting/chunker.ts';
import { createKernel } from '../kernel/kernel.ts';
import { loadBlob } from '../reading/blobs.ts';
import { BlobSaver } from './blob-saver.ts';
import { storeByContent } from './store-content.ts';
import { storePages } from './store-pages.ts';

const open: BlobSaver[] = [];
afterEach(async () => {
  for (const saver of open.splice(0)) await saver[Symbol.asyncDispose]();
});

async function saverFor(made: TestRepository): Promise<BlobSaver> {
  const saver = await BlobSaver.open(await made.reopen(), { threads: 2 });
  open.push(saver);
  return saver;
}

async function readBack(made: TestRepository, ids: Uint8Array): Promise<Buffer> {
  const repository = await made.reopen();
  const parts: Uint8Array[] = [];
  for (let at = 0; at < ids.byteLength; at += 32)
    parts.push(await loadBlob(repository, 'data', ids.subarray(at, at + 32)));
  return Buffer.concat(parts);
}

const nothing = (): void => {};

test.each([0, 1, 512 << 10, (4 << 20) - 1, 4 << 20, (4 << 20) + 1, 21_000_001])(
  'stores %i bytes and reads the same bytes back',
  async (size) => {
    const made = await makeRepository();
    const saver = await saverFor(made);
    const data = noise(size);
    const stored = await storeByContent(saver, unevenStream(data), nothing);
    await saver.finish();
    expect(stored.sizeBytes).toBe(size);
    expect((await readBack(made, stored.ids)).equals(data)).toBe(true);
  },
);

test('cuts a stream of short and longest chunks where one look at all of it cuts', async () => {
  const made = await makeRepository();
  const saver = await saverFor(made);
  // A constant byte has no cut: chunks of the maximum, which begin two slabs before they end.
  const same = Buffer.alloc(21 << 20, 7);
  const data = Buffer.concat([noise(900_000), same, noise(3 << 20), same.subarray(0, 5 << 20), noise(2_500_000)]);
  const stored = await storeByContent(saver, unevenStream(data), nothing);
  await saver.finish();
  const candidates = scanCandidates(createKernel(), chunkerTables(made.repository.config.chunkerPolynomial), data, 0);
  const ends = selectCuts(candidates, 0, data.byteLength, { ...chunkLimits, atEnd: true });
  const expected = ends.map((end, i) => hash('sha256', data.subarray(ends[i - 1] ?? 0, end), 'buffer'));
  expect(Buffer.from(stored.ids).equals(Buffer.concat(expected))).toBe(true);
  expect((await readBack(made, stored.ids)).equals(data)).toBe(true);
});

test('cuts the same bytes at the same places however they arrive', async () => {
  const saver = await saverFor(await makeRepository());
  const data = noise(20 << 20);
  const runs = await Promise.all(
    [1 << 20, 4096, 9 << 20, 65_537].map((size) =>
      storeByContent(
        saver,
        unevenStream(data, () => size),
        nothing,
      ),
    ),
  );
  for (const run of runs) expect(Buffer.from(run.ids).equals(runs[0].ids)).toBe(true);
  await saver.finish();
});

test('stores nothing twice, in one run or the next', async () => {
  const made = await makeRepository();
  const data = noise(6 << 20);
  const first = await saverFor(made);
  await Promise.all([0, 1, 2].map(() => storeByContent(first, unevenStream(data), nothing)));
  await first.finish();
  expect(first.stats.addedBytes).toBe(data.byteLength);
  const second = await saverFor(made);
  await storeByContent(second, unevenStream(data), nothing);
  await second.finish();
  expect(second.stats.addedBytes).toBe(0);
});

test('a hole is a reference to one zero blob, however long', async () => {
  const made = await makeRepository();
  const saver = await saverFor(made);
  const holeBytes = 2 ** 40 + 12_345;
  const [before, after] = [noise(700_000), noise(300_000)];
  let at = 0;
  const stream = {
    skipHole: async () => {
      if (at !== 1) return 0;
      at++;
      return holeBytes;
    },
    read: async (into: Uint8Array) => {
      if (at > 2) return 0;
      const part = at++ === 0 ? before : after;
      into.set(part);
      return part.byteLength;
    },
  };
  const stored = await storeByContent(saver, stream, nothing);
  await saver.finish();
  expect(stored.sizeBytes).toBe(before.byteLength + holeBytes + after.byteLength);
  const zeroBlob = hash('sha256', Buffer.alloc(chunkLimits.maxBytes), 'buffer');
  const ids = Buffer.from(stored.ids);
  expect(ids.subarray(32 * 10, 32 * 11).equals(zeroBlob)).toBe(true);
  expect(ids.byteLength / 32).toBeGreaterThanOrEqual(holeBytes / chunkLimits.maxBytes);
  expect(saver.stats.storedBytes).toBeLessThan(2 << 20);
});

test('a source that fails in the middle gives its error and leaves the saver usable', async () => {
  const made = await makeRepository();
  const saver = await saverFor(made);
  const fails = new HoldfastError({ code: 'source.unreadable', message: 'bad sector', remedy: 'replace the disk' });
  for (let round = 0; round < 8; round++) {
    let left = round;
    const stream = {
      read: async (into: Uint8Array) => {
        if (left-- <= 0) throw fails;
        into.set(noise(into.byteLength));
        return into.byteLength;
      },
    };
    const storing =
      round % 2
        ? storeByContent(saver, stream, nothing)
        : storePages(saver, stream, { pageBytes: 4096, sizeHint: 0, progress: nothing });
    await expect(storing).rejects.toBe(fails);
  }
  const data = noise(9 << 20);
  const stored = await storeByContent(saver, unevenStream(data), nothing);
  await saver.finish();
  expect((await readBack(made, stored.ids)).equals(data)).toBe(true);
});

test('pages: what did not change is not stored again, what did is stored small', async () => {
  const made = await makeRepository();
  const data = noise((12 << 20) + 4096 * 3);
  let ids: Uint8Array | undefined;
  const added: number[] = [];
  for (let round = 0; round < 4; round++) {
    const saver = await saverFor(made);
    const options = {
      pageBytes: 4096,
      sizeHint: data.byteLength,
      progress: nothing,
      ...(ids ? { parentIds: ids } : {}),
    };
    const stored = await storePages(saver, unevenStream(data), options);
    await saver.finish();
    expect((await readBack(made, stored.ids)).equals(data)).toBe(true);
    added.push(saver.stats.addedBytes);
    ids = stored.ids;
    data[5_000_000]++;
  }
  expect(added).toEqual([data.byteLength, 1 << 20, 65_536, 4096]);
});

test('what is stored beside the source and fails, fails all: the source may hold the same bytes and rely on them', async () => {
  const made = await makeRepository();
  const saver = await saverFor(made);
  vi.spyOn(saver.pool, 'run').mockRejectedValueOnce(new Error('the self-check failed'));
  const same = noise(1000);
  await expect(saver.storeBeside('data', same)).rejects.toThrow('the self-check failed');
  await saver.storeBytes('data', same); // claimed already
  await expect(saver.finish()).rejects.toThrow('the self-check failed');
});
