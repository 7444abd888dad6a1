/** Keeping a repository in order, together with restic: each checks what the other pruned, repaired and damaged. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Secret } from '../../src/base/secrets.ts';
import { diffTrees } from '../../src/engine/diff.ts';
import { findInSnapshots } from '../../src/engine/find.ts';
import { silent } from '../../src/model/run.ts';
import {
  type BlobIndex,
  checkRepository,
  forgetSnapshots,
  idBytesOf,
  listSnapshots,
  loadIndex,
  openRepository,
  packName,
  prune,
  type Repository,
  rebuildIndex,
  repositoryStats,
} from '../../src/repository/index.ts';
import { localStorage } from '../../src/storage/local/index.ts';
import { openStorage } from '../../src/storage/open.ts';
import { contentOf, impatientClock, makeSnapshot, noise, readSnapshot } from '../support/trial-repository.ts';

const base = mkdtempSync(join(tmpdir(), 'holdfast-upkeep-'));
afterAll(() => rmSync(base, { recursive: true }));

const password = 'a password';

async function opened(path: string): Promise<Repository> {
  const storage = await openStorage([localStorage], path, { create: false });
  return await openRepository({ storage, password: new Secret(password), clock: impatientClock });
}

function noisyFile(name: string, length: number): Buffer {
  return createHash('shake256', { outputLength: length }).update(name).digest();
}

describe.each(['restic', 'restic-new'])('%s', (program) => {
  const place = join(base, program);
  const source = join(place, 'source');
  const env = { ...process.env, RESTIC_PASSWORD: password, RESTIC_CACHE_DIR: join(place, 'cache') };
  const restic = (repo: string, ...args: string[]) =>
    execFileSync(program, ['-r', repo, ...args], { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'pipe'] });

  /** Three snapshots restic made: files added, changed and removed on the way. */
  const original = join(place, 'original');
  let copies = 0;

  /** A copy to work on. */
  function copied(): string {
    const path = join(place, `copy-${copies++}`);
    cpSync(original, path, { recursive: true });
    return path;
  }

  beforeAll(() => {
    mkdirSync(join(source, 'deep', 'er'), { recursive: true });
    for (let i = 0; i < 40; i++)
      writeFileSync(join(source, 'deep', `file-${i}`), noisyFile(`f${i}`, 40_000 + i * 1000));
    writeFileSync(join(source, 'text'), 'some text\n'.repeat(100_000));
    writeFileSync(join(source, 'empty'), '');
    restic(original, 'init');
    restic(original, 'backup', source);
    for (let i = 0; i < 20; i++) writeFileSync(join(source, 'deep', `file-${i}`), noisyFile(`changed ${i}`, 60_000));
    restic(original, 'backup', source);
    for (let i = 0; i < 30; i++) rmSync(join(source, 'deep', `file-${i}`));
    writeFileSync(join(source, 'deep', 'er', 'new.conf'), 'a = b\n');
    restic(original, 'backup', source);
  });

  async function forgetFirst(repository: Repository, count: number): Promise<void> {
    const snapshots = await listSnapshots(repository);
    await forgetSnapshots(
      repository,
      snapshots.slice(0, count).map(({ id }) => id),
    );
  }

  function restored(path: string): Map<string, string> {
    const target = mkdtempSync(join(place, 'restored-'));
    restic(path, 'restore', 'latest', '--target', target);
    return filesBelow(join(target, source));
  }

  test('what restic stored is found sound, and so are its figures', async () => {
    await using repository = await opened(original);
    const { errors, warnings, counts } = await checkRepository(repository, { readData: true }, silent);
    expect([...errors, ...warnings]).toEqual([]);
    expect(counts).toMatchObject({
      snapshots: 3,
      unusedBlobs: 0,
      packsRead: counts.packs,
      bytesRead: counts.packBytes,
    });
    const theirs = JSON.parse(restic(original, 'stats', '--json', '--mode', 'raw-data'));
    const stats = await repositoryStats(repository, silent);
    expect(stats.blobs.data + stats.blobs.tree).toBe(theirs.total_blob_count);
    const restoreSize = JSON.parse(restic(original, 'stats', '--json', '--mode', 'restore-size'));
    expect(stats.restoreBytes).toBe(restoreSize.total_size);
    expect(stats.snapshots.map(({ addedBytes }) => addedBytes > 0)).toEqual([true, true, true]);
    expect(stats.unusedBytes).toBe(0);
  });

  test('what restic pruned is found sound', async () => {
    const path = copied();
    restic(path, 'forget', '--keep-last', '1', '--prune', '--max-unused', '0');
    await using repository = await opened(path);
    const { errors, counts } = await checkRepository(repository, { readData: true }, silent);
    expect(errors).toEqual([]);
    expect(counts).toMatchObject({ snapshots: 1, unusedBlobs: 0 });
  });

  test('what we pruned is sound to restic, and it restores the same', async () => {
    const path = copied();
    await using repository = await opened(path);
    await forgetFirst(repository, 2);
    const bytesBefore = sizeBelow(join(path, 'data'));
    const result = await prune(repository, { maxUnused: 0 }, silent);
    expect(result.packsRepacked).toBeGreaterThan(0);
    expect(result.remainingUnusedBytes).toBe(0);
    expect(restic(path, 'check', '--read-data')).toContain('no errors were found');
    expect(restored(path)).toEqual(filesBelow(source));
    const freed = bytesBefore - sizeBelow(join(path, 'data'));
    // Headers are not counted: 41 bytes a blob.
    expect(Math.abs(freed - result.freedBytes)).toBeLessThan(20_000);
    expect(readdirSync(join(path, 'locks'))).toEqual([]);
    // And restic finds nothing left to do.
    expect(restic(path, 'prune', '--max-unused', '0', '--dry-run')).toMatch(/to delete:\s+0 blobs/);
  });

  test('both go on after one another', async () => {
    const path = copied();
    await using repository = await opened(path);
    await forgetFirst(repository, 1);
    await prune(repository, {}, silent);
    const files = { 'ours/file': [noise('x', 70_000)] };
    const id = await makeSnapshot(repository, files);
    restic(path, 'backup', source);
    restic(path, 'prune', '--max-unused', '0');
    await prune(repository, { maxUnused: 0 }, silent);
    expect(restic(path, 'check', '--read-data')).toContain('no errors were found');
    const { errors } = await checkRepository(repository, { readData: true }, silent);
    expect(errors).toEqual([]);
    await using again = await opened(path);
    expect(await readSnapshot(again, id)).toEqual(contentOf(files));
  });

  test('an index that was lost or damaged is rebuilt', async () => {
    const path = copied();
    await using repository = await opened(path);
    const [first, second] = readdirSync(join(path, 'index'));
    rmSync(join(path, 'index', first));
    rmSync(join(path, 'index', second));
    writeFileSync(join(path, 'index', second), 'damaged');
    const before = await checkRepository(repository, { readData: false }, silent);
    expect(before.errors.map(({ kind }) => kind)).toContain('index-damaged');
    const result = await rebuildIndex(repository, {}, silent);
    expect(result.unreadable).toEqual([]);
    expect(restic(path, 'check', '--read-data')).toContain('no errors were found');
    expect(restored(path)).toEqual(filesBelow(source));
  });

  test('find and diff tell what changed between snapshots', async () => {
    await using repository = await opened(original);
    const snapshots = await listSnapshots(repository);
    const found = await collect(findInSnapshots(repository, snapshots, { patterns: ['*.conf', 'file-3'] }));
    expect(
      found.map(({ path, snapshots: of }) => [path.slice(source.length), of.map((one) => snapshots.indexOf(one))]),
    ).toEqual([
      ['/deep/er/new.conf', [2]],
      ['/deep/file-3', [0]],
      ['/deep/file-3', [1]],
    ]);
    const changes = await collect(diffTrees(repository, snapshots[1].tree, snapshots[2].tree));
    const kinds = Object.groupBy(changes, ({ change }) => change);
    expect(kinds.removed).toHaveLength(30);
    expect(kinds.added?.map(({ path }) => path.slice(source.length))).toEqual(['/deep/er/new.conf']);
    expect(kinds.content).toBeUndefined();
    const changed = await collect(diffTrees(repository, snapshots[0].tree, snapshots[1].tree));
    const contents = changed.filter(({ change }) => change === 'content');
    expect(contents).toHaveLength(20);
    expect(contents.every(({ addedBytes }) => addedBytes === 60_000)).toBe(true);
    expect(await collect(diffTrees(repository, snapshots[0].tree, snapshots[0].tree))).toEqual([]);
  });

  test.each(['data', 'tree'] as const)(
    'a damaged %s blob is found by both, and what it means is told',
    async (type) => {
      const path = copied();
      await using repository = await opened(path);
      const index = await loadIndex(repository);
      const latest = (await listSnapshots(repository)).at(-1)!;
      const entry = type === 'tree' ? index.find('tree', idBytesOf(latest.tree)) : firstData(index);
      const { pack, offset } = index.location(entry)!;
      const victim = join(path, packName(pack));
      const bytes = readFileSync(victim);
      bytes[offset + 30] ^= 4;
      rmSync(victim);
      writeFileSync(victim, bytes);
      const { errors, affected } = await checkRepository(repository, { readData: true }, silent);
      expect(errors.some(({ subject }) => subject === packName(pack))).toBe(true);
      expect(affected.length).toBeGreaterThan(0);
      if (type === 'tree') expect(affected[0]).toMatchObject({ snapshot: { id: latest.id }, paths: ['/'] });
      expect(() => restic(path, 'check', '--read-data')).toThrow();
    },
  );
});

function firstData(index: BlobIndex): number {
  let entry = 0;
  while (index.type(entry) !== 'data') entry++;
  return entry;
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

function filesNamed(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

function sizeBelow(folder: string): number {
  return filesNamed(folder).reduce((sum, file) => sum + statSync(file).size, 0);
}

function filesBelow(folder: string): Map<string, string> {
  const files = filesNamed(folder).map((file): [string, string] => [
    file.slice(folder.length),
    createHash('sha256').update(readFileSync(file)).digest('hex'),
  ]);
  return new Map(files.sort(([a], [b]) => (a < b ? -1 : 1)));
}
