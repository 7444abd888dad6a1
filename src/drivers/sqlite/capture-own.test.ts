/** The catalogue, backed up by the process that works with it. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { recordHappening } from '../../catalogue/happenings.ts';
import { type Catalogue, openCatalogue } from '../../catalogue/open.ts';
import { localHost } from '../../hosts/local/index.ts';
import { seedBank } from './fixture.ts';
import { backUp, contentsOf, filesOf, type Playground, playground, sourceOf, writeOut } from './fixture-run.ts';
import { sqlite } from './index.ts';
import { findDatabase } from './place.ts';

const host = localHost();
let place: Playground;
let path: string;
let catalogue: Catalogue;
beforeEach(async () => {
  place = playground();
  for (const name of ['state', 'spool', 'drill']) mkdirSync(place.path(name));
  path = place.path('state/catalogue.db');
  catalogue = await openCatalogue({ kind: 'sqlite', path }, Date.now);
});
afterEach(async () => {
  await catalogue[Symbol.asyncDispose]();
  place[Symbol.dispose]();
});

const tell = (title: string) => recordHappening(catalogue, { type: 'config.changed', title });
const source = () => sourceOf(host, { path, spoolDirectory: place.path('spool') });

function ownLocks(): number {
  const files = [path, `${path}-shm`].map((file) => `:${statSync(file).ino} `);
  const lines = readFileSync('/proc/locks', 'utf8').split('\n');
  return lines.filter((line) => line.includes(` ${process.pid} `) && files.some((file) => line.includes(file))).length;
}

test('its own catalogue is backed up while it is written to, keeps its locks, and the drill of the copy finds every row', async () => {
  await tell('before');
  const locks = ownLocks();
  let writing = true;
  const writer = (async () => {
    for (let i = 0; writing; i++) {
      await tell(`meanwhile ${i}`);
      await wait(1);
    }
  })();
  const { fingerprint, facts, notes } = await backUp(source(), place.path('copy.db'));
  writing = false;
  await writer;
  expect([ownLocks(), readdirSync(place.path('spool')), notes]).toEqual([locks, [], []]);
  expect(facts).toMatchObject({ path, journalMode: 'wal', copiedFirst: true, writerPauseMs: 0 });
  const throwaway = { directory: mkdtempSync(place.path('drill/')), host };
  const restored = await sqlite.restoreThrowaway!(
    source(),
    contentsOf(place.path('copy.db'), path),
    throwaway as never,
  );
  const checks = await restored.compare(fingerprint);
  expect(checks.filter(({ ok }) => !ok)).toEqual([]);
  expect(checks.length).toBeGreaterThan(10);
  expect(await restored.query!("SELECT count(*) FROM happening WHERE title = 'before'")).toBe('1');
  expect(await restored.query!('PRAGMA integrity_check')).toBe('ok');
});

test('the copy made of it is its owner’s alone, and gone when it was cancelled or could not be made', async () => {
  {
    await using capture = await sqlite.capture(source());
    const [room] = readdirSync(place.path('spool'));
    const modes = [`spool/${room}`, `spool/${room}/copy.db`].map((name) => statSync(place.path(name)).mode & 0o777);
    expect(modes).toEqual([0o700, 0o600]);
    await capture.complete();
  }
  const stop = new AbortController();
  const report = () => stop.abort();
  await expect(sqlite.capture({ ...source(), signal: stop.signal, report })).rejects.toMatchObject({
    code: 'cancelled',
  });
  expect(readdirSync(place.path('spool'))).toEqual([]);
});

test('a look at it says that it can be backed up, a restore over it is refused, and neither costs a lock', async () => {
  const locks = ownLocks();
  expect((await sqlite.probe(source())).map(({ level }) => level)).toEqual(['ok', 'ok', 'ok']);
  writeFileSync(place.path('older'), 'an older state');
  const contents = contentsOf(place.path('older'), path);
  const request = { host, overwrite: true, dryRun: false };
  const restoring = sqlite.restore(source(), contents, request as never);
  await expect(restoring).rejects.toMatchObject({ code: 'source.busy', message: expect.stringContaining('Holdfast') });
  expect(ownLocks()).toBe(locks);
});

test('databases that this process merely reads are never taken for its own, however many read at once', async () => {
  seedBank({ path: place.path('bank.db'), journal: 'delete' });
  const looks = Array.from({ length: 200 }, () => findDatabase(place.path('bank.db')));
  const found = await Promise.allSettled(looks);
  expect(found.filter(({ status }) => status === 'rejected')).toEqual([]);
  const plain = () => sourceOf(host, { path: place.path('bank.db'), spoolDirectory: place.path('spool') });
  const captures = await Promise.all(Array.from({ length: 3 }, () => sqlite.capture(plain())));
  for (const capture of captures) {
    for (const [name, file] of await filesOf(capture))
      if (name.endsWith('.db')) await writeOut(file, place.path('one.db'));
    await capture.complete();
    await capture[Symbol.asyncDispose]();
  }
});
