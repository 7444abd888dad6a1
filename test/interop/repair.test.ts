/** Repositories that restic made, damaged and repaired: restic finds them sound and restores what is left. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Secret } from '../../src/base/secrets.ts';
import { silent } from '../../src/model/run.ts';
import {
  openRepository,
  type Repository,
  rebuildIndex,
  repairPacks,
  repairSnapshots,
} from '../../src/repository/index.ts';
import { localStorage } from '../../src/storage/local/index.ts';
import { openStorage } from '../../src/storage/open.ts';
import { impatientClock } from '../support/trial-repository.ts';

const base = mkdtempSync(join(tmpdir(), 'holdfast-repair-'));
afterAll(() => rmSync(base, { recursive: true }));

const source = join(base, 'source');
const env = { ...process.env, RESTIC_PASSWORD: 'a password', RESTIC_CACHE_DIR: join(base, 'cache') };
const restic = (repo: string, ...args: string[]): string =>
  execFileSync('restic-new', ['-r', repo, ...args], { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'pipe'] });

function noise(name: string, length: number): Buffer {
  return createHash('shake256', { outputLength: length }).update(name).digest();
}

async function opened(path: string): Promise<Repository> {
  const storage = await openStorage([localStorage], path, { create: false });
  return await openRepository({ storage, password: new Secret('a password'), clock: impatientClock });
}

beforeAll(() => {
  mkdirSync(join(source, 'deep'), { recursive: true });
  for (let i = 0; i < 30; i++) writeFileSync(join(source, 'deep', `file-${i}`), noise(`f${i}`, 40_000));
  writeFileSync(join(source, 'large'), noise('large', 6_000_000));
  restic(join(base, 'one'), 'init');
  restic(join(base, 'one'), 'backup', source);
  writeFileSync(join(source, 'deep', 'file-3'), noise('changed', 50_000));
  restic(join(base, 'one'), 'backup', source);
  const from = ['--from-repo', join(base, 'one'), '--from-password-command', 'echo a password'];
  restic(join(base, 'two'), 'init', '--copy-chunker-params', ...from);
  restic(join(base, 'two'), 'copy', ...from);
});

function packsIn(repo: string): string[] {
  return readdirSync(join(repo, 'data'), { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => join(one.parentPath, one.name))
    .sort((a, b) => statSync(b).size - statSync(a).size);
}

/** The largest pack has flipped bits in several blobs, the smallest is gone, an index file too. */
function damaged(name: string): string {
  const repo = join(base, name);
  cpSync(join(base, 'one'), repo, { recursive: true });
  const packs = packsIn(repo);
  const bytes = readFileSync(packs[0]);
  for (let at = 1000; at < bytes.byteLength - 40_000; at += 700_000) bytes[at] ^= 4;
  rmSync(packs[0]);
  writeFileSync(packs[0], bytes);
  rmSync(packs.at(-1)!);
  rmSync(join(repo, 'index', readdirSync(join(repo, 'index'))[0]));
  expect(() => restic(repo, 'check', '--read-data')).toThrow();
  return repo;
}

test('with another repository everything comes back', async () => {
  const repo = damaged('healed');
  await using repository = await opened(repo);
  await using other = await opened(join(base, 'two'));
  await rebuildIndex(repository, {}, silent);
  const donors = [{ name: 'two', repository: other }];
  const result = await repairPacks(repository, { packs: 'all', donors }, silent);
  expect(result).toMatchObject({ missingBlobs: 0, affected: [] });
  expect(result.healed[0].blobs).toBeGreaterThan(3);
  restic(repo, 'check', '--read-data');
  const target = join(base, 'restored');
  restic(repo, 'restore', 'latest', '--target', target, '--verify');
  expect(readFileSync(join(target, source, 'large')).equals(noise('large', 6_000_000))).toBe(true);
});

test('alone, what is left is restored by restic, and what is lost was named', async () => {
  const repo = damaged('alone');
  await using repository = await opened(repo);
  await rebuildIndex(repository, {}, silent);
  const { missingBlobs } = await repairPacks(repository, { packs: 'all' }, silent);
  expect(missingBlobs).toBeGreaterThan(3);
  const repair = await repairSnapshots(repository, { forget: true }, silent);
  restic(repo, 'check', '--read-data');
  const listed = JSON.parse(restic(repo, 'snapshots', '--json')) as {
    id: string;
    original?: string;
    tags?: string[];
  }[];
  for (const { snapshot, repaired, losses } of repair.snapshots) {
    if (repaired === undefined) continue;
    const found = listed.find(({ id }) => id === repaired)!;
    expect(found).toMatchObject({ original: snapshot.id, tags: ['repaired'] });
    const target = join(base, repaired);
    restic(repo, 'restore', repaired, '--target', target, '--verify');
    for (const { path, kind, now } of losses) {
      if (kind === 'part') expect(statSync(join(target, now!)).size).toBeGreaterThan(0);
      if (kind !== 'directory') expect(() => statSync(join(target, path))).toThrow();
    }
  }
});
