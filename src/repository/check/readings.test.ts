import { beforeAll, expect, test } from 'vitest';
import { copyOf, makeSnapshot, memoryRepository, noise, reopened } from '../../../test/support/trial-repository.ts';
import { silent } from '../../model/run.ts';
import { type MemoryPlace, memoryStorage } from '../../storage/memory.ts';
import type { Repository } from '../repository.ts';
import { checkRepository } from './check.ts';
import { loadReadings, saveReadings } from './readings.ts';

let base: { place: MemoryPlace; repository: Repository };

beforeAll(async () => {
  base = await memoryRepository();
  await makeSnapshot(base.repository, { a: [noise('a', 3000)], b: [noise('b', 100)] });
});

function fresh() {
  const place = copyOf(base.place);
  return { place, repository: reopened(base.repository, memoryStorage(place)) };
}

test('what was read is remembered in one small object, and records of two writers are taken together', async () => {
  const { place, repository } = fresh();
  expect(await loadReadings(repository)).toEqual({ sinceMs: undefined, readAtMs: new Map() });
  await saveReadings(repository, { groups: [1, 2], atMs: 1000 });
  const [one] = [...place].filter(([name]) => name.startsWith('holdfast/readings/'));
  await saveReadings(repository, { groups: [2, 255], atMs: 2000 });
  place.set(...one);
  expect(await loadReadings(repository)).toEqual({
    sinceMs: 1000,
    readAtMs: new Map([
      [1, 1000],
      [2, 2000],
      [255, 2000],
    ]),
  });
  place.set(one[0], noise('damage', 90));
  expect((await loadReadings(repository)).readAtMs.get(255)).toBe(2000);
  await saveReadings(repository, { groups: [3], atMs: 3000 });
  const records = [...place].filter(([name]) => name.startsWith('holdfast/readings/'));
  expect(records.map(([, bytes]) => bytes.byteLength < 1000)).toEqual([true]);
});

test('a check says which parts it read as a whole and found sound', async () => {
  const { place, repository } = fresh();
  const check = (readData: Parameters<typeof checkRepository>[1]['readData']) =>
    checkRepository(repository, { readData }, silent);
  expect((await check(true)).groupsRead.size).toBe(256);
  expect((await check(false)).groupsRead.size).toBe(0);
  expect((await check({ subset: '50%' })).groupsRead.size).toBe(0);
  expect([...(await check({ subset: '3/100' })).groupsRead]).toEqual([2, 102, 202]);
  const packs = [...place.keys()].filter((name) => name.startsWith('data/'));
  const group = Number.parseInt(packs[0].slice(5, 7), 16);
  const read = await check({ subset: { groups: new Set([group]) } });
  expect(read.counts.packsRead).toBe(packs.filter((name) => name.startsWith(packs[0].slice(0, 7))).length);
  const bytes = Buffer.from(place.get(packs[0])!);
  bytes[40] ^= 1;
  place.set(packs[0], bytes);
  const harmed = await check(true);
  expect(harmed.groupsRead.has(group)).toBe(false);
  expect(harmed.groupsRead.size).toBe(255);
});
