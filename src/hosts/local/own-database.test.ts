/** What this process has open through SQLite keeps its locks, whoever else in it comes by. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { recordHappening } from '../../catalogue/happenings.ts';
import { type Catalogue, openCatalogue } from '../../catalogue/open.ts';
import { unattended } from '../../drivers/conformance/context.ts';
import { filesDriver } from '../../drivers/files/index.ts';
import { filesOf } from '../../drivers/sqlite/fixture-run.ts';
import type { RunEvent } from '../../model/run.ts';
import { lookAround } from '../../operations/setup/look-around.ts';
import { localHost } from './index.ts';

const host = localHost();
let folder: string;
let path: string;
let catalogue: Catalogue;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-own-'));
  path = join(folder, 'catalogue.db');
  catalogue = await openCatalogue({ kind: 'sqlite', path }, Date.now);
});
afterEach(async () => {
  await catalogue[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** Locks this process holds on the files of the catalogue, as the kernel lists them. */
function ownLocks(): number {
  const files = [path, `${path}-shm`].map((file) => `:${statSync(file).ino} `);
  const lines = readFileSync('/proc/locks', 'utf8').split('\n');
  return lines.filter((line) => line.includes(` ${process.pid} `) && files.some((file) => line.includes(file))).length;
}

/** What another program reads, which opens and closes the catalogue as any command does. */
function inAnother(statement: string): string {
  const [database, sql] = [JSON.stringify(path), JSON.stringify(statement)];
  const program = `const db = new (require('node:sqlite').DatabaseSync)(${database});
    console.log(JSON.stringify(db.prepare(${sql}).all())); db.close();`;
  const ran = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', '-e', program], {
    encoding: 'utf8',
  });
  expect([ran.status, ran.stderr]).toEqual([0, '']);
  return ran.stdout;
}

const files = (): string[] => ['', '-wal', '-shm'].map((suffix) => `${path}${suffix}`);

test('a backup of files leaves out the database this process works with, says how it is backed up, and drops no lock', async () => {
  const locks = ownLocks();
  expect(locks).toBeGreaterThan(0);
  for (const file of files()) {
    const refused = { code: 'source.unreadable', remedy: expect.stringContaining('driver: sqlite') };
    await expect(host.files.open(file)).rejects.toMatchObject(refused);
    expect(() => host.files.readWhole?.(file, Buffer.alloc(9_000_000))).toThrow('works with the database');
  }
  expect(ownLocks()).toBe(locks);
});

test('what was committed after such a backup is there after another program came and went', async () => {
  await Promise.allSettled(files().map(async (file) => await (await host.files.open(file)).close()));
  inAnother('SELECT id FROM run');
  expect(existsSync(`${path}-wal`)).toBe(true);
  await recordHappening(catalogue, { type: 'config.changed', title: 'kept' });
  expect(inAnother('SELECT title FROM happening')).toContain('kept');
});

test('a backup of its folder tells that it is not in it, and goes on', async () => {
  const locks = ownLocks();
  const warnings: string[] = [];
  const settings = filesDriver.settings.parse({ paths: [folder] });
  const context = unattended({ name: 'state', settings, host, local: host });
  const report = (event: RunEvent) => event.type === 'warning' && warnings.push(event.message);
  const capture = await filesDriver.capture({ ...context, report });
  for (const file of (await filesOf(capture)).values()) {
    await file.open().then(
      (reader) => reader.close?.(),
      (error: unknown) => file.skip?.(error),
    );
  }
  expect(warnings).toHaveLength(3);
  expect(capture.notes().join()).toContain('Holdfast itself works with the database');
  expect(ownLocks()).toBe(locks);
});

test('everything beside it is read as ever, links to it lead to the same refusal or to none', async () => {
  writeFileSync(join(folder, 'server.key'), 'secret');
  symlinkSync(path, join(folder, 'link'));
  const into = Buffer.alloc(100);
  expect(host.files.readWhole?.(join(folder, 'server.key'), into)).toBe(6);
  const reader = await host.files.open(join(folder, 'server.key'));
  expect(await reader.read(into)).toBe(6);
  await reader.close();
  await expect(host.files.open(join(folder, 'link'))).rejects.toMatchObject({ code: 'source.unreadable' });
  await expect(host.files.open(join(folder, 'nothing'))).rejects.toMatchObject({ code: 'source.missing' });
});

test('nor do a search for databases and a second use of the catalogue drop its locks', async () => {
  const locks = ownLocks();
  const found = await lookAround({ roots: [folder], clock: systemClock, signal: new AbortController().signal });
  expect(found.databases).toEqual([{ path, sizeBytes: statSync(path).size }]);
  expect(ownLocks()).toBe(locks);
  const second = await openCatalogue({ kind: 'sqlite', path }, Date.now);
  expect(ownLocks()).toBeGreaterThanOrEqual(locks);
  await second[Symbol.asyncDispose]();
  expect(ownLocks()).toBe(locks);
});

test('a restore neither changes nor replaces it', async () => {
  const locks = ownLocks();
  const before = statSync(path).ino;
  const target = await host.openTarget(folder, 'replace');
  const refused = { code: 'restore.target-invalid' };
  for (const file of files()) {
    await expect(target.reviseFile(file, 10)).rejects.toMatchObject(refused);
    await expect(target.createFile(file, 10)).rejects.toMatchObject(refused);
    await expect(target.makeDirectory(file)).rejects.toMatchObject(refused);
  }
  await target[Symbol.asyncDispose]();
  expect([statSync(path).ino, ownLocks()]).toEqual([before, locks]);
});
