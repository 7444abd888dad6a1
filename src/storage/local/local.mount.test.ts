/** What only a file system of its own can show: a full disk, a read-only one, and one that is not mounted any more. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { listed } from '../conformance/case.ts';
import { openStorage } from '../open.ts';
import { localStorage } from './index.ts';

const base = mkdtempSync(join(tmpdir(), 'holdfast-mount-'));
const disk = join(base, 'disk');
mkdirSync(disk);
afterAll(() => rmSync(base, { recursive: true, force: true }));

const run = (command: string, ...args: string[]) => spawnSync(command, args, { encoding: 'utf8' });
const mount = () => run('mount', '-t', 'tmpfs', '-o', 'size=8m,mode=0700', 'holdfast-test', disk);
const unmount = () => run('umount', disk);

const tried = mount();
const possible = tried.status === 0;
if (possible) unmount();
const reason = `tmpfs cannot be mounted here: ${(tried.stderr || String(tried.error)).trim()}`;
if (!possible) {
  // Hooks of a file whose tests are all skipped do not run.
  rmSync(base, { recursive: true });
  console.warn(`skipped: ${reason}`);
}

test.runIf(process.env.CI)('in CI a file system can be mounted', () => expect(possible, reason).toBe(true));

describe.runIf(possible)('a disk', () => {
  beforeEach(() => expect(mount().status).toBe(0));
  afterEach(() => {
    unmount();
  });

  const open = () => openStorage([localStorage], disk, { create: false });
  const body = (mebibytes: number) => [new Uint8Array(mebibytes * 1024 * 1024).fill(7)];

  test('that is full refuses puts, keeps what it has, and works again when there is space', async () => {
    const storage = await open();
    await storage.put('data/aa/first', body(3));
    const full = { code: 'storage.full', retry: 'never', message: expect.stringContaining('data/aa/second') };
    await expect(storage.put('data/aa/second', body(16))).rejects.toMatchObject(full);
    await expect(storage.put('data/aa/first', body(7))).rejects.toMatchObject({ code: 'storage.full' });
    const outcomes = await Promise.allSettled([1, 2, 3, 4].map((at) => storage.put(`data/bb/${at}`, body(2))));
    const stored = outcomes.filter(({ status }) => status === 'fulfilled').length;
    expect(stored).toBeLessThan(4);
    expect(readdirSync(join(disk, 'data/bb')).length).toBe(stored);
    expect(readdirSync(join(disk, 'data/aa'))).toEqual(['first']);
    expect((await storage.get('data/aa/first')).byteLength).toBe(3 * 1024 * 1024);
    for (const at of [1, 2, 3, 4]) await storage.delete(`data/bb/${at}`);
    await storage.put('data/aa/second', body(4));
  });

  test('that is read-only denies puts and deletes, and is read', async () => {
    const storage = await open();
    await storage.put('config', body(1));
    expect(run('mount', '-o', 'remount,ro', disk).status).toBe(0);
    const denied = { code: 'storage.denied', remedy: expect.stringContaining('read-only') };
    await expect(storage.put('config', body(1))).rejects.toMatchObject(denied);
    await expect(storage.put('data/aa/x', body(1), { mustNotExist: true })).rejects.toMatchObject(denied);
    await expect(storage.delete('config')).rejects.toMatchObject(denied);
    expect((await storage.get('config')).byteLength).toBe(1024 * 1024);
  });

  test('that was unmounted gets no puts into its empty mount point, and is not an empty repository', async () => {
    const storage = await open();
    await storage.put('data/aa/x', body(1));
    expect(unmount().status).toBe(0);
    const gone = { code: 'storage.not-found', remedy: expect.stringMatching(/mounted/) };
    await expect(storage.put('data/aa/y', body(1))).rejects.toMatchObject(gone);
    await expect(storage.put('config', body(1))).rejects.toMatchObject(gone);
    await expect(storage.stat('data/aa/x')).rejects.toMatchObject(gone);
    await expect(storage.get('data/aa/x')).rejects.toMatchObject(gone);
    await expect(storage.delete('data/aa/x')).rejects.toMatchObject(gone);
    await expect(listed(storage, 'data')).rejects.toMatchObject(gone);
    expect(existsSync(disk)).toBe(true);
    expect(readdirSync(disk)).toEqual([]);
  });
});
