/** Random damage, then the repairs in their order: what survives is compared with what must. */
import { createHash } from 'node:crypto';
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
import { idBytesOf, loadIndex } from '../blob-index/index-files.ts';
import { checkRepository } from '../check/check.ts';
import { packName } from '../layout.ts';
import { prune } from '../prune/prune.ts';
import { loadTree } from '../reading/blobs.ts';
import { listPins, pinSnapshot } from '../records/pins.ts';
import { listSnapshots } from '../records/snapshots.ts';
import type { Repository } from '../repository.ts';
import { rebuildIndex } from './rebuild-index.ts';
import { repairPacks } from './repair-packs.ts';
import { repairSnapshots, type SnapshotRepairResult } from './repair-snapshots.ts';

/** How often chance is tried. */
const rounds = Number(process.env.DAMAGES ?? 6);
/** Every how manieth change of the storage is the last one in turn. */
const killStep = Number(process.env.KILL_STEP ?? 5);

function seeds(from: number): number[] {
  return Array.from({ length: rounds }, (_, i) => from + i);
}

const first: TrialFiles = {
  'a/one': [noise('1', 3000), noise('2', 300), noise('3', 900)],
  'a/two': [noise('4', 2000)],
  'b/c/deep': [noise('5', 2500), noise('1', 3000)],
  top: [noise('6', 700)],
};
const second: TrialFiles = { ...first, 'b/c/more': [noise('7', 4000)], 'd/text': [Buffer.alloc(9000, 'text ')] };
const third: TrialFiles = { 'b/c/deep': first['b/c/deep'], 'e/last': [noise('8', 100), noise('9', 1200)] };
const all = [first, second, third];

let base: { place: MemoryPlace; repository: Repository; ids: string[] };
/** Another repository with other keys that has the same blobs. */
let donor: { place: MemoryPlace; repository: Repository };

beforeAll(async () => {
  const { place, repository } = await memoryRepository();
  const ids: string[] = [];
  donor = await memoryRepository();
  for (const [i, files] of all.entries()) {
    const time = `2026-11-2${i}T03:00:00Z`;
    ids.push(await makeSnapshot(repository, files, { time }));
    await makeSnapshot(donor.repository, files, { time });
  }
  base = { place, repository, ids };
});

/** Numbers from a seed. */
function dice(seed: number): (sides: number) => number {
  let count = 0;
  return (sides) => createHash('sha256').update(`${seed}/${count++}`).digest().readUInt32LE(0) % sides;
}

function on(place: MemoryPlace, repository = base.repository): Repository {
  return reopened(repository, memoryStorage(place));
}

function names(place: MemoryPlace, folder: string): string[] {
  return [...place.keys()].filter((name) => name.startsWith(`${folder}/`));
}

const harms = ['flip', 'flip-many', 'cut', 'delete', 'zero', 'grow'] as const;

function harm(place: MemoryPlace, name: string, roll: (sides: number) => number): void {
  const bytes = Buffer.from(place.get(name)!);
  const how = harms[roll(harms.length)];
  if (how === 'delete') return void place.delete(name);
  if (how === 'flip') bytes[roll(bytes.byteLength)] ^= 1 << roll(8);
  if (how === 'flip-many') for (let i = 0; i < 12; i++) bytes[roll(bytes.byteLength)] ^= 1 << roll(8);
  if (how === 'zero') bytes.fill(0, roll(bytes.byteLength));
  if (how === 'cut') return void place.set(name, bytes.subarray(0, roll(bytes.byteLength)));
  place.set(name, how === 'grow' ? Buffer.concat([bytes, noise('more', 1 + roll(90))]) : bytes);
}

/** The blobs that still open where the index of the sound repository says they lie. */
async function readableBlobs(place: MemoryPlace): Promise<Set<string>> {
  const index = await loadIndex(on(base.place));
  const readable = new Set<string>();
  for (let entry = 0; entry < index.size; entry++) {
    const { pack, offset, length } = index.location(entry)!;
    const now = place.get(packName(pack))?.subarray(offset, offset + length);
    const before = base.place.get(packName(pack))!.subarray(offset, offset + length);
    if (now && Buffer.compare(now, before) === 0) readable.add(Buffer.from(index.id(entry)).toString('hex'));
  }
  return readable;
}

const idOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Files of the snapshot all blobs and trees of which are there, as far as the sound repository tells. */
async function whatMustSurvive(i: number, readable: ReadonlySet<string>): Promise<Map<string, Buffer>> {
  const repository = on(base.place);
  const must = new Map<string, Buffer>();
  const walk = async (tree: string, path: string): Promise<void> => {
    if (!readable.has(tree)) return;
    for (const node of await loadTree(repository, tree)) {
      const at = path === '' ? node.name : `${path}/${node.name}`;
      if (node.subtree) await walk(node.subtree, at);
      const blobs = all[i][at];
      if (blobs?.every((blob) => readable.has(idOf(blob)))) must.set(at, Buffer.concat(blobs));
    }
  };
  const snapshot = (await listSnapshots(repository)).find(({ id }) => id === base.ids[i])!;
  await walk(snapshot.tree, '');
  return must;
}

async function expectSound(place: MemoryPlace, repository = base.repository): Promise<void> {
  const { errors } = await checkRepository(on(place, repository), { readData: true }, silent);
  expect(errors.map(({ message }) => message)).toEqual([]);
}

/** What became of one snapshot: whole files that could be read are whole, and every other one is named. */
async function expectAccountedFor(
  i: number,
  {
    place,
    repair,
    must,
    mayMissMore,
  }: { place: MemoryPlace; repair: SnapshotRepairResult; must: Map<string, Buffer>; mayMissMore: boolean },
): Promise<void> {
  const id = base.ids[i];
  const repaired = repair.snapshots.find((one) => one.snapshot.id === id);
  const left = (await listSnapshots(on(place))).find((one) => one.id === id || one.original === id);
  if (!left) {
    if (repaired) expect(repaired.outcome).toBe('nothing-left');
    if (repaired && !mayMissMore) expect([...must.keys()]).toEqual([]);
    return;
  }
  const files = await readSnapshot(on(place), left.id);
  for (const [path, content] of mayMissMore ? [] : must) {
    expect(files.get(path)?.equals(content), `${path} of ${i} can be read`).toBe(true);
  }
  const lost = repaired?.losses.map(({ path }) => path) ?? [];
  for (const [path, blobs] of Object.entries(all[i])) {
    const isWhole = files.get(path)?.equals(Buffer.concat(blobs)) === true;
    const isNamed = lost.some((one) => one === path || path.startsWith(`${one}/`) || one === '');
    expect(isWhole !== isNamed, `${path} of ${i} is ${isWhole ? 'whole' : 'lost'}`).toBe(true);
  }
}

function isHarmed(place: MemoryPlace, folder: string): boolean {
  return names(base.place, folder).some(
    (name) => Buffer.compare(place.get(name) ?? Buffer.alloc(0), base.place.get(name)!) !== 0,
  );
}

describe('random damage', () => {
  test.each(seeds(0))('%i: what is readable survives, what is lost is named', async (seed) => {
    const roll = dice(seed);
    const place = copyOf(base.place);
    for (const folder of ['data', 'data', 'data', 'index', 'snapshots']) {
      const there = names(place, folder);
      if (there.length > 0 && roll(3) > 0) harm(place, there[roll(there.length)], roll);
    }
    const readable = await readableBlobs(place);
    // Where a pack was cut short and its index file is harmed too, nothing says any more what lies in it.
    const mayMissMore = isHarmed(place, 'index');
    await rebuildIndex(on(place), {}, silent);
    await repairPacks(on(place), { packs: 'all' }, silent);
    const repair = await repairSnapshots(on(place), { forget: true }, silent);
    await expectSound(place);
    for (const i of all.keys()) {
      await expectAccountedFor(i, { place, repair, must: await whatMustSurvive(i, readable), mayMissMore });
    }
    await prune(on(place), { maxUnused: 0 }, silent);
    await expectSound(place);
  });

  test.each(seeds(1000))('%i: with another repository nothing at all is lost', async (seed) => {
    const roll = dice(seed);
    const place = copyOf(base.place);
    for (const folder of ['data', 'data', 'data', 'data', 'index']) {
      const there = names(place, folder);
      if (there.length > 0) harm(place, there[roll(there.length)], roll);
    }
    const donors = [{ name: 'other', repository: on(donor.place, donor.repository) }];
    await rebuildIndex(on(place), {}, silent);
    const before = copyOf(place);
    const dry = await repairPacks(on(place), { packs: 'all', donors, dryRun: true }, silent);
    expect(place).toEqual(before);
    const result = await repairPacks(on(place), { packs: 'all', donors }, silent);
    expect(result).toMatchObject({ missingBlobs: 0, affected: [], savedBlobs: dry.savedBlobs, healed: dry.healed });
    await expectSound(place);
    for (const [i, id] of base.ids.entries()) expect(await readSnapshot(on(place), id)).toEqual(contentOf(all[i]));
    expect(await repairSnapshots(on(place), {}, silent)).toMatchObject({ checked: 3, snapshots: [], unreadable: [] });
  });
});

describe('killed at any change of the storage', () => {
  /** From the k-th put or delete on nothing works any more. */
  async function killedAt(k: number, harmed: MemoryPlace): Promise<{ place: MemoryPlace; struck: boolean }> {
    const place = copyOf(harmed);
    const rules = [{ fault: { kind: 'error-before' }, operations: ['put', 'delete'], from: k }] as const;
    const storage = faultyStorage(memoryStorage(place), { seed: 1, rules });
    const dying = reopened(base.repository, storage);
    await repairPacks(dying, { packs: 'all' }, silent)
      .then(() => repairSnapshots(dying, { forget: true }, silent))
      .catch(() => undefined);
    return { place, struck: storage.injected.length > 0 };
  }

  async function expectAllOf(musts: readonly Map<string, Buffer>[], place: MemoryPlace, k: number): Promise<void> {
    const now = await listSnapshots(on(place));
    for (const [i, must] of musts.entries()) {
      const left = now.find(({ id, original }) => id === base.ids[i] || original === base.ids[i]);
      const files = left ? await readSnapshot(on(place), left.id) : new Map<string, Buffer>();
      for (const [path, content] of must)
        expect(files.get(path)?.equals(content), `${path}, killed at ${k}`).toBe(true);
    }
  }

  test('a repair has lost nothing that could be read, and the next one goes on', async () => {
    const harmed = copyOf(base.place);
    for (const [i, name] of names(harmed, 'data').entries()) {
      const bytes = Buffer.from(harmed.get(name)!);
      if (i % 2 === 0) bytes[10] ^= 1;
      harmed.set(name, bytes);
    }
    const readable = await readableBlobs(harmed);
    const musts = await Promise.all(all.map((_, i) => whatMustSurvive(i, readable)));
    for (let k = 1, struck = true; struck; k += killStep) {
      const killed = await killedAt(k, harmed);
      struck = killed.struck;
      const { place } = killed;
      await repairPacks(on(place), { packs: 'all' }, silent);
      await repairSnapshots(on(place), { forget: true }, silent);
      await expectSound(place);
      await expectAllOf(musts, place, k);
      if (!struck) expect(k).toBeGreaterThan(10);
    }
  }, 240_000);
});

/** Deletes the pack that holds the blob (data) or the root tree of a snapshot. */
async function withoutPackOf(place: MemoryPlace, type: 'data' | 'tree', id: string): Promise<void> {
  const index = await loadIndex(on(place));
  place.delete(packName(index.location(index.find(type, idBytesOf(id)))!.pack));
}

describe('a repaired snapshot', () => {
  test('says what it was made from, keeps its pin, and is not made twice', async () => {
    const place = copyOf(base.place);
    await withoutPackOf(place, 'data', idOf(noise('7', 4000)));
    await repairPacks(on(place), { packs: [] }, silent);
    await pinSnapshot(on(place), base.ids[1]);
    const kept = await repairSnapshots(on(place), {}, silent);
    expect(kept.snapshots.map(({ outcome, forgotten }) => [outcome, forgotten])).toEqual([['repaired', false]]);
    expect(kept.snapshots[0].losses.map(({ path, kind, bytes }) => [path, kind, bytes])).toEqual([
      ['b/c/more', 'file', 4000],
      ['d/text', 'file', 9000],
    ]);
    expect(place.has(`snapshots/${base.ids[1]}`)).toBe(true);
    const again = await repairSnapshots(on(place), { forget: true }, silent);
    const [{ repaired }] = kept.snapshots;
    expect(again.snapshots[0]).toMatchObject({ outcome: 'repaired-before', forgotten: true, repaired });
    const snapshot = (await listSnapshots(on(place))).find(({ id }) => id === repaired)!;
    expect(snapshot).toMatchObject({ original: base.ids[1], time: '2026-11-21T03:00:00Z' });
    expect(snapshot.tags).toEqual(['holdfast', 'source:trial', 'driver:files', 'run:r1', 'repaired']);
    expect((await listPins(on(place))).has(snapshot.id)).toBe(true);
    await expectSound(place);
  });

  test('has zeros where one part of a file is lost, and calls the file incomplete', async () => {
    const { place, repository } = await memoryRepository();
    const parts = [noise('p1', 1000), noise('p2', 1500), noise('p3', 2000)];
    await makeSnapshot(repository, { other: [parts[1]] }, { time: '2026-11-20T03:00:00Z' });
    const id = await makeSnapshot(repository, { 'x/disk': parts, 'x/disk.incomplete': [noise('q', 5)] }, {});
    const index = await loadIndex(on(place, repository));
    place.delete(packName(index.location(index.find('data', idBytesOf(idOf(parts[1]))))!.pack));
    await repairPacks(on(place, repository), { packs: [] }, silent);
    const result = await repairSnapshots(on(place, repository), { snapshots: [id] }, silent);
    expect(result.snapshots[0].losses).toEqual([
      { path: 'x/disk', kind: 'part', bytes: 1500, now: 'x/disk.incomplete-2', zeros: true },
    ]);
    const files = await readSnapshot(on(place, repository), result.snapshots[0].repaired!);
    expect(files.get('x/disk.incomplete-2')).toEqual(Buffer.concat([parts[0], Buffer.alloc(1500), parts[2]]));
  });

  test('is not made while packs or the index have to be repaired first', async () => {
    const place = copyOf(base.place);
    const [name] = names(place, 'data');
    place.set(name, place.get(name)!.subarray(0, -9));
    await expect(repairSnapshots(on(place), {}, silent)).rejects.toMatchObject({
      code: 'repository.damaged',
      remedy: expect.stringContaining('repair packs'),
    });
    const other = copyOf(base.place);
    other.set(`index/${'b'.repeat(64)}`, noise('no index', 50));
    await expect(repairSnapshots(on(other), {}, silent)).rejects.toMatchObject({
      remedy: expect.stringContaining('repair index'),
    });
  });
});

test('a pack that is sound is left alone, and a repair of a sound repository changes nothing', async () => {
  const place = copyOf(base.place);
  const result = await repairPacks(on(place), { packs: 'all' }, silent);
  expect(result).toMatchObject({ packsRead: names(place, 'data').length, damaged: [], savedBlobs: 0, missingBlobs: 0 });
  await repairSnapshots(on(place), { forget: true }, silent);
  expect(place).toEqual(base.place);
  await expect(repairPacks(on(place), { packs: ['f'.repeat(64)] }, silent)).rejects.toMatchObject({
    code: 'usage.invalid',
  });
});
