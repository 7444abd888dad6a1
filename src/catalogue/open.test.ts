import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { recordHappening } from './happenings.ts';
import { openCatalogue } from './open.ts';

let folder: string;
let umask: number;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-catalogue-'));
  umask = process.umask(0);
});
afterEach(() => {
  process.umask(umask);
  rmSync(folder, { recursive: true, force: true });
});

/** The modes of all files in the folder while the catalogue is used. */
async function modesIn(directory: string): Promise<Record<string, string>> {
  await using catalogue = await openCatalogue({ kind: 'sqlite', path: join(directory, 'catalogue.db') }, Date.now);
  await recordHappening(catalogue, { type: 'config.changed', title: 'it was changed' });
  const modes = readdirSync(directory).map((name) => [name, modeOf(join(directory, name))]);
  return Object.fromEntries(modes) as Record<string, string>;
}

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);
const isPrivate = { 'catalogue.db': '600', 'catalogue.db-wal': '600', 'catalogue.db-shm': '600' };

test('nobody else reads a new catalogue, nor what is written beside it', async () => {
  const directory = join(folder, 'new');
  expect(await modesIn(directory)).toEqual(isPrivate);
  expect(modeOf(directory)).toBe('700');
});

test('a catalogue that others could read is made private before anything is written to it', async () => {
  const directory = join(folder, 'old');
  mkdirSync(directory);
  writeFileSync(join(directory, 'catalogue.db'), '');
  chmodSync(join(directory, 'catalogue.db'), 0o644);
  expect(await modesIn(directory)).toEqual(isPrivate);
});
