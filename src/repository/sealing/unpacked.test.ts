import { mkdtempSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Secret } from '../../base/secrets.ts';
import { localStorage } from '../../storage/local/index.ts';
import { openStorage } from '../../storage/open.ts';
import type { Storage } from '../../storage/storage.ts';
import { listSnapshots, saveSnapshot } from '../records/snapshots.ts';
import { initRepository, type Repository } from '../repository.ts';

/** More than two batches are read together: whatever the order of the folder, none is read on its own. */
const count = 200;

/** The storage of the repository with some calls of its own. */
function through(calls: Partial<Storage>): Repository {
  const { storage } = repository;
  return repository.on({
    location: storage.location,
    put: (...args) => storage.put(...args),
    get: (...args) => storage.get(...args),
    getInto: (...args) => storage.getInto(...args),
    stat: (...args) => storage.stat(...args),
    list: (...args) => storage.list(...args),
    delete: (...args) => storage.delete(...args),
    close: async () => {},
    ...calls,
  });
}

let place: string;
let repository: Repository;
let ids: string[];

beforeEach(async () => {
  place = mkdtempSync(join(tmpdir(), 'holdfast-unpacked-'));
  const storage = await openStorage([localStorage], place, { create: true });
  repository = await initRepository({ storage, password: new Secret('p'), kdf: { N: 2, r: 1, p: 1 } });
  ids = [];
  for (let i = 0; i < count; i++) {
    const time = new Date(Date.UTC(2026, 0, 1) + i * 1000).toISOString();
    // One of them is too large to be read together with others.
    const excludes = i === 7 ? Array.from({ length: 9000 }, (_, k) => `${k}-${Math.sin(k)}`) : [];
    ids.push(await saveSnapshot(repository, { time, tree: 'a'.repeat(64), paths: ['/'], excludes }));
  }
});
afterEach(async () => {
  await repository.close();
  rmSync(place, { recursive: true });
});

test('many snapshots are listed as one by one', async () => {
  const found = await listSnapshots(repository);
  expect(found.map((one) => one.id)).toEqual(ids);
  expect(found[7].excludes?.length).toBe(9000);
  const singly = through({});
  expect(await listSnapshots(singly)).toEqual(found);
});

test('one that is damaged among many is told, one that vanished after the listing is left out', async () => {
  const file = join(place, 'snapshots', ids[100]);
  const bytes = readFileSync(file);
  unlinkSync(file);
  writeFileSync(file, bytes.fill(0, 40, 50));
  await expect(listSnapshots(repository)).rejects.toMatchObject({
    code: 'repository.damaged',
    message: expect.stringContaining(ids[100]),
  });
  const { storage } = repository;
  const vanishing = through({
    async getTogether(names, signal) {
      if (names.includes(`snapshots/${ids[100]}`)) unlinkSync(file);
      return await storage.getTogether!(names, signal);
    },
  });
  expect((await listSnapshots(vanishing)).map((one) => one.id)).toEqual(ids.filter((_, i) => i !== 100));
});

test('bytes that were read wrongly once are read again', async () => {
  const { storage } = repository;
  const flipping = through({
    getTogether: async (names, signal) => {
      const found = await storage.getTogether!(names, signal);
      return found.map((bytes, i) => (i === 3 && bytes ? bytes.map((byte) => byte ^ 1) : bytes));
    },
  });
  expect(await listSnapshots(flipping)).toHaveLength(count);
});
