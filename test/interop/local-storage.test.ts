/** A directory written by the local storage is a repository restic opens, and the other way round. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { localStorage } from '../../src/storage/local/index.ts';
import { temporaryName } from '../../src/storage/local/temporary.ts';
import { openStorage } from '../../src/storage/open.ts';
import type { Storage } from '../../src/storage/storage.ts';

const base = mkdtempSync(join(tmpdir(), 'holdfast-restic-'));
afterAll(() => rmSync(base, { recursive: true }));

const folders = ['data', 'index', 'snapshots', 'keys', 'locks'];

async function copy(from: Storage, to: Storage): Promise<number> {
  let copied = 0;
  await to.put('config', [await from.get('config')], { mustNotExist: true });
  for (const folder of folders) {
    for await (const { name } of from.list(folder)) {
      await to.put(name, [await from.get(name)], { mustNotExist: true });
      copied++;
    }
  }
  return copied;
}

describe.each(['restic', 'restic-new'])('%s', (program) => {
  const place = join(base, program);
  const repository = join(place, 'repository');
  const ours = join(place, 'ours');
  const env = { ...process.env, RESTIC_PASSWORD: 'a password', RESTIC_CACHE_DIR: join(place, 'cache') };
  const restic = (repo: string, ...args: string[]) =>
    execFileSync(program, ['-r', repo, ...args], { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'pipe'] });

  test('reads, writes, prunes and checks what the local storage stored, beside leftovers of a killed put', async () => {
    mkdirSync(join(place, 'source'), { recursive: true });
    for (let at = 0; at < 20; at++) writeFileSync(join(place, 'source', `file-${at}`), `content ${at}\n`.repeat(5000));
    restic(repository, 'init');
    restic(repository, 'backup', join(place, 'source'));

    const [theirs, copied] = await Promise.all([
      openStorage([localStorage], repository, { create: false }),
      openStorage([localStorage], ours, { create: true }),
    ]);
    expect(await copy(theirs, copied)).toBeGreaterThan(3);
    for (const folder of readdirSync(join(ours, 'data')))
      writeFileSync(join(ours, 'data', folder, temporaryName()), 'x');
    for (const folder of ['index', 'snapshots', 'keys']) writeFileSync(join(ours, folder, temporaryName()), 'x');

    expect(restic(ours, 'check', '--read-data')).toContain('no errors were found');
    writeFileSync(join(place, 'source', 'file-0'), 'changed');
    restic(ours, 'backup', join(place, 'source'));
    restic(ours, 'forget', '--keep-last', '1', '--prune');
    expect(restic(ours, 'check', '--read-data')).toContain('no errors were found');

    const snapshots: string[] = [];
    for await (const { name } of copied.list('snapshots')) snapshots.push(name);
    expect(snapshots).toHaveLength(1);
  });
});
