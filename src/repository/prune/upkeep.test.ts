import { beforeEach, describe, expect, test } from 'vitest';
import {
  contentOf,
  copyOf,
  makeSnapshot,
  memoryRepository,
  noise,
  readSnapshot,
  reopened,
} from '../../../test/support/trial-repository.ts';
import type { Proof } from '../../model/proof.ts';
import { silent } from '../../model/run.ts';
import { type MemoryPlace, memoryStorage } from '../../storage/memory.ts';
import { checkRepository } from '../check/check.ts';
import { repositoryStats } from '../inventory/stats.ts';
import { listPins, pinSnapshot, unpinSnapshot } from '../records/pins.ts';
import { listProofs, saveProof } from '../records/proofs.ts';
import { listSnapshots } from '../records/snapshots.ts';
import { rebuildIndex } from '../repair/rebuild-index.ts';
import type { Repository } from '../repository.ts';
import { saveUnpacked } from '../sealing/unpacked.ts';
import { forgetSnapshots } from './forget.ts';

const files = { 'a/one': [noise('one', 3000)], 'b/one': [noise('one', 3000)], text: [Buffer.alloc(50_000, 'text ')] };
const more = { ...files, two: [noise('two', 1000)] };
let made: { place: MemoryPlace; repository: Repository; first: string; second: string } | undefined;
let place: MemoryPlace;
let repository: Repository;
let first: string;
let second: string;

beforeEach(async () => {
  if (!made) {
    const { place: at, repository: of } = await memoryRepository();
    const older = await makeSnapshot(of, files, { time: '2026-11-20T03:00:00Z' });
    const newer = await makeSnapshot(of, more, { time: '2026-11-21T03:00:00Z' });
    made = { place: at, repository: of, first: older, second: newer };
  }
  ({ first, second } = made);
  place = copyOf(made.place);
  repository = reopened(made.repository, memoryStorage(place));
});

function names(folder: string): string[] {
  return [...place.keys()].filter((name) => name.startsWith(`${folder}/`));
}

describe('forgetting', () => {
  test('removes the snapshots named and nothing else', async () => {
    const packs = names('data');
    await forgetSnapshots(repository, [first]);
    expect((await listSnapshots(repository)).map(({ id }) => id)).toEqual([second]);
    expect(names('data')).toEqual(packs);
    expect(names('locks')).toEqual([]);
  });

  test('leaves out what may no longer go once the lock is held', async () => {
    const gone = await forgetSnapshots(repository, [first, second], {
      mayStillGo: async () => {
        expect(names('locks')).toHaveLength(1);
        return new Set([second]);
      },
    });
    expect(gone).toEqual([second]);
    expect((await listSnapshots(repository)).map(({ id }) => id)).toEqual([first]);
  });

  test('removes none if one of them does not exist', async () => {
    const unknown = 'd'.repeat(64);
    await expect(forgetSnapshots(repository, [first, unknown])).rejects.toMatchObject({ code: 'snapshot.unknown' });
    expect(await listSnapshots(repository)).toHaveLength(2);
  });
});

describe('pins', () => {
  test('are set and taken away, twice is fine', async () => {
    for (const _ of [1, 2]) await pinSnapshot(repository, first);
    await pinSnapshot(repository, second);
    expect(await listPins(repository)).toEqual(new Set([first, second]));
    for (const _ of [1, 2]) await unpinSnapshot(repository, first);
    expect(await listPins(repository)).toEqual(new Set([second]));
  });

  test('are not set on what does not exist', async () => {
    await expect(pinSnapshot(repository, 'e'.repeat(64))).rejects.toMatchObject({ code: 'snapshot.unknown' });
    expect(await listPins(repository)).toEqual(new Set());
  });
});

describe('proofs', () => {
  const proof: Proof = {
    format: 1,
    source: 'shop',
    driver: 'files',
    snapshot: 'a'.repeat(64),
    snapshotTime: '2026-11-20T03:00:00Z',
    startedAtMs: 1_795_000_000_000,
    restoreMs: 12.5,
    compareMs: 1,
    restoredBytes: 7,
    verdict: 'failed',
    checksTotal: 1,
    checksFailed: 1,
    checks: [{ subject: 'table main.orders', measure: 'rows', expected: '2', found: '1', ok: false }],
    error: { code: 'drill.failed', message: 'rows differ', remedy: 'Look.' },
    host: 'trial',
    programVersion: '0.1.0',
  };

  test('come back as they were stored, oldest first, sealed in the place', async () => {
    const later = await saveProof(repository, { ...proof, startedAtMs: proof.startedAtMs + 1, verdict: 'passed' });
    const id = await saveProof(repository, proof);
    expect(await listProofs(repository)).toEqual([
      { ...proof, id },
      { ...proof, startedAtMs: proof.startedAtMs + 1, verdict: 'passed', id: later },
    ]);
    const stored = Buffer.from(place.get(`holdfast/proofs/${id}`)!);
    expect(stored.includes('orders')).toBe(false);
  });

  test.each([
    ['no JSON', 'nonsense'],
    ['another format', JSON.stringify({ ...proof, format: 2 })],
    ['a verdict nobody knows', JSON.stringify({ ...proof, verdict: 'perhaps' })],
  ])('with %s are refused by name', async (_what, json) => {
    const id = await saveUnpacked(repository, 'proofs', Buffer.from(json));
    await expect(listProofs(repository)).rejects.toMatchObject({
      code: 'repository.damaged',
      message: expect.stringContaining(id),
    });
  });
});

describe('figures', () => {
  test('say what is stored, what it restores to and what each snapshot added', async () => {
    const stats = await repositoryStats(repository, silent);
    expect(stats.blobs).toEqual({ data: 3, tree: 3 });
    expect(stats.snapshots.map(({ restoreBytes }) => restoreBytes)).toEqual([56_000, 57_000]);
    expect(stats.restoreBytes).toBe(113_000);
    expect(stats.snapshots[1].addedBytes).toBeGreaterThan(1000);
    expect(stats.snapshots[1].addedBytes).toBeLessThan(2500);
    expect(stats.unusedBytes).toBe(0);
    expect(stats.deduplication).toBeGreaterThan(1.9);
    expect(stats.compression).toBeGreaterThan(5);
    expect(stats.stored.data.files).toBe(4);
    const bytes = [...place]
      .filter(([name]) => !name.startsWith('locks/'))
      .reduce((sum, [, body]) => sum + body.byteLength, 0);
    expect(stats.storedBytes - stats.stored.locks.bytes).toBe(bytes);
  });

  test('count as unused what only a forgotten snapshot needed', async () => {
    const { addedBytes } = (await repositoryStats(repository, silent)).snapshots[1];
    await forgetSnapshots(repository, [second]);
    expect((await repositoryStats(repository, silent)).unusedBytes).toBe(addedBytes);
  });

  test('are not made up where something cannot be read', async () => {
    const tree = names('data').find((name) => place.get(name)!.byteLength < 1500)!;
    place.delete(tree);
    await expect(repositoryStats(repository, silent)).rejects.toMatchObject({ code: 'repository.damaged' });
  });
});

describe('rebuilding the index', () => {
  async function expectSound(): Promise<void> {
    const now = reopened(repository, memoryStorage(place));
    const { errors, warnings } = await checkRepository(now, { readData: true }, silent);
    expect([...errors, ...warnings]).toEqual([]);
    expect(await readSnapshot(now, second)).toEqual(contentOf(more));
  }

  test('a lost, a damaged and a foreign index file lose nothing', async () => {
    const [one, two] = names('index');
    place.delete(one);
    place.set(two, noise('damage', 100));
    place.set(`index/${'f'.repeat(64)}`, noise('foreign', 100));
    const result = await rebuildIndex(repository, {}, silent);
    expect(result).toMatchObject({ packs: 4, blobs: 6, indexFilesBefore: 2, indexFilesAfter: 1, unreadable: [] });
    expect(result.found.map(({ kind }) => kind)).toEqual(['index-damaged', 'index-damaged']);
    await expectSound();
  });

  test('a pack that is gone is no longer in the index', async () => {
    const gone = names('data')[0];
    place.delete(gone);
    await rebuildIndex(repository, {}, silent);
    const { errors } = await checkRepository(reopened(repository, memoryStorage(place)), { readData: false }, silent);
    expect(errors.map(({ kind }) => kind)).not.toContain('pack-missing');
    expect(errors.map(({ kind }) => kind)).toContain('blob-missing');
  });

  test('a pack without a readable header is named and stays known through its index', async () => {
    const name = names('data')[0];
    const bytes = Buffer.from(place.get(name)!);
    bytes[bytes.byteLength - 10] ^= 1;
    place.set(name, bytes);
    const result = await rebuildIndex(repository, {}, silent);
    expect(result.unreadable.map(({ subject }) => subject)).toEqual([name]);
    expect(result.blobs).toBe(6);
    expect(await readSnapshot(reopened(repository, memoryStorage(place)), second)).toEqual(contentOf(more));
  });
});
