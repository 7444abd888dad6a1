import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type * as promises from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { writeKeepingAside, writeNew, writeNewSecret } from './new-file.ts';

/** What was done, in its order, by whatever writes: a file or folder flushed, a name given. */
const done = vi.hoisted((): string[] => []);
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof promises>();
  const open: typeof real.open = async (path, ...rest) => {
    const handle = await real.open(path, ...rest);
    const { sync } = handle;
    handle.sync = async () => {
      done.push(`sync ${String(path)}`);
      await sync.call(handle);
    };
    return handle;
  };
  const noted =
    (verb: 'link' | 'rename') =>
    async (from: promises.FileHandle & string, to: string): Promise<void> => {
      done.push(`${verb} ${from} ${to}`);
      await real[verb](from, to);
    };
  return { ...real, open, link: noted('link'), rename: noted('rename') };
});

let folder: string;
let file: string;
beforeEach(() => {
  done.length = 0;
  folder = mkdtempSync(join(tmpdir(), 'holdfast-new-'));
  file = join(folder, 'server.key');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('a key is on the disk before it has its name, and its name before anybody counts on it', async () => {
  expect(await writeNewSecret(file, 'geheim')).toBe(true);
  expect([readFileSync(file, 'utf8'), statSync(file).mode & 0o777]).toEqual(['geheim\n', 0o600]);
  const draft = String(done[0]?.slice('sync '.length));
  expect(draft).not.toBe(file);
  expect(done).toEqual([`sync ${draft}`, `link ${draft} ${file}`, `sync ${folder}`]);
  expect(readdirSync(folder)).toEqual(['server.key']);
});

it('a secret that is there is left as it is, also where nothing may be written', async () => {
  writeFileSync(file, 'mine');
  chmodSync(folder, 0o500);
  try {
    expect(await writeNewSecret(file, 'geheim')).toBe(false);
    await expect(writeNew(file, 'geheim', 0o600)).rejects.toThrow('exists already and is not overwritten');
  } finally {
    chmodSync(folder, 0o700);
  }
  expect(readFileSync(file, 'utf8')).toBe('mine');
});

it('a file that is written anew keeps the one before aside, and both names are on the disk', async () => {
  writeFileSync(file, 'before');
  const aside = await writeKeepingAside(file, 'after', 0);
  expect([readFileSync(file, 'utf8'), readFileSync(String(aside), 'utf8')]).toEqual(['after', 'before']);
  expect(done.at(-1)).toBe(`sync ${folder}`);
  expect(done.at(-2)).toMatch(/^rename /);
});
