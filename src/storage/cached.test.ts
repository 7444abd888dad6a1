import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cachedStorage } from './cached.ts';
import { countingStorage } from './counting.ts';
import { type MemoryPlace, memoryStorage } from './memory.ts';

let folder: string;
let place: MemoryPlace;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-cache-'));
  place = new Map();
});
afterEach(() => rmSync(folder, { recursive: true }));

function opened(mostBytes = 1 << 20) {
  const inner = countingStorage(memoryStorage(place));
  return { inner, storage: cachedStorage(inner, { folder: join(folder, 'one'), mostBytes }) };
}

function stored(kind: string, text: string): string {
  const bytes = Buffer.from(text);
  const name = `${kind}/${createHash('sha256').update(bytes).digest('hex')}`;
  place.set(name, bytes);
  return name;
}

test('what was read once is not read from the storage again, by any process', async () => {
  const name = stored('index', 'an index');
  for (let i = 0; i < 2; i++) expect(Buffer.from(await opened().storage.get(name)).toString()).toBe('an index');
  const { inner, storage } = opened();
  await storage.get(name);
  expect(inner.count('get')).toBe(0);
  expect(statSync(join(folder, 'one', name)).mode & 0o777).toBe(0o600);
  expect(statSync(join(folder, 'one', 'index')).mode & 0o777).toBe(0o700);
});

test('only whole index and snapshot files are kept, and nothing that was put', async () => {
  const index = stored('index', 'an index');
  const pack = stored('data/aa', 'a pack');
  const { inner, storage } = opened();
  await storage.get(index, { offset: 1, length: 2 });
  await storage.get(pack);
  await storage.put('keys/x', [Buffer.from('key')]);
  await storage.get('keys/x');
  await storage.get(index);
  expect(inner.count('get')).toBe(4);
  expect(readdirSync(join(folder, 'one'))).toEqual(['index']);
});

test('a copy that is damaged is not believed, and one from the storage that is damaged is not kept', async () => {
  const name = stored('snapshots', 'a snapshot');
  await opened().storage.get(name);
  writeFileSync(join(folder, 'one', name), 'a snapshoT');
  expect(Buffer.from(await opened().storage.get(name)).toString()).toBe('a snapshot');
  place.set(name, Buffer.from('damaged'));
  rmSync(join(folder, 'one', name));
  expect(Buffer.from(await opened().storage.get(name)).toString()).toBe('damaged');
  expect(readdirSync(join(folder, 'one', 'snapshots'))).toEqual([]);
});

test('what is gone from the storage goes from the cache, and so do leftovers of killed processes', async () => {
  const [gone, kept] = [stored('index', 'gone'), stored('index', 'kept')];
  const { storage } = opened();
  await storage.get(gone);
  await storage.get(kept);
  writeFileSync(join(folder, 'one', `${kept}.77-1`), 'half');
  place.delete(gone);
  for await (const _ of storage.list('index'));
  expect(readdirSync(join(folder, 'one', 'index'))).toEqual([kept.slice(6)]);
  await storage.delete(kept);
  expect(readdirSync(join(folder, 'one', 'index'))).toEqual([]);
});

test('it does not grow beyond its bound, and a folder that cannot be used costs nothing but time', async () => {
  const names = ['1', '2', '3'].map((text) => stored('index', text.repeat(100)));
  const { storage } = opened(250);
  for (const name of names) await storage.get(name);
  expect(readdirSync(join(folder, 'one', 'index'))).toHaveLength(2);
  writeFileSync(join(folder, 'file'), '');
  chmodSync(join(folder, 'file'), 0o400);
  const useless = cachedStorage(memoryStorage(place), { folder: join(folder, 'file', 'below'), mostBytes: 1000 });
  expect(Buffer.from(await useless.get(names[0])).toString()).toBe('1'.repeat(100));
});
