import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { localHost } from '../../hosts/local/index.ts';
import { bankFaults, ledgerLength, seedBank } from './fixture.ts';
import { backUp, filesOf, type Playground, playground, sourceOf, startWriter, writeOut } from './fixture-run.ts';
import { sqlite } from './index.ts';

const host = localHost();
let place: Playground;
beforeEach(() => {
  place = playground();
  mkdirSync(place.path('spool'));
});
afterEach(() => place[Symbol.dispose]());

function source(pageBytes = 4096) {
  seedBank({ path: place.path('bank.db'), pageBytes });
  return sourceOf(host, { path: place.path('bank.db'), copyFirst: true, spoolDirectory: place.path('spool') });
}

function sqlite3(statement: string): string {
  return spawnSync('sqlite3', [place.path('bank.db'), statement], { encoding: 'utf8' }).stdout;
}

async function openCopy(capture: Awaited<ReturnType<typeof sqlite.capture>>): Promise<string> {
  const file = (await filesOf(capture)).get(place.path('bank.db'));
  if (file === undefined) throw new Error('no database in the capture');
  await writeOut(file, place.path('copy.db'));
  return place.path('copy.db');
}

test('a copy made first lets go of the log: a checkpoint may empty it while the copy is stored', async () => {
  const wanted = source();
  const writer = await startWriter({ path: place.path('bank.db'), perSecond: 1, transfers: 7 });
  const before = ledgerLength(place.path('bank.db'));
  await using capture = await sqlite.capture(wanted);
  await writer.stop();
  const after = ledgerLength(place.path('bank.db'));
  // Without checkpoints of its own: SQLite does not wait for another checkpoint, it says busy at once.
  const quiet = { transfers: 20, autocheckpoint: 1_000_000 };
  const second = await startWriter({ path: place.path('bank.db'), perSecond: 0, ...quiet });
  expect(sqlite3('PRAGMA busy_timeout = 20000; PRAGMA wal_checkpoint(TRUNCATE)')).toMatch(/^20000\n0\|/);
  await second.stop();
  const copy = await openCopy(capture);
  await capture.complete();
  expect(bankFaults(copy)).toEqual([]);
  expect(ledgerLength(copy)).toBeGreaterThanOrEqual(before);
  expect(ledgerLength(copy)).toBeLessThanOrEqual(after);
});

test('a state is read from the held files and from a copy of it to the same byte, whatever the page size', async () => {
  for (const pageBytes of [512, 65536]) {
    using inner = playground();
    seedBank({ path: inner.path('bank.db'), pageBytes });
    // Its second commit is further away than the end of this test.
    const writer = await startWriter({ path: inner.path('bank.db'), perSecond: 0.001, transfers: 30 });
    const common = { path: inner.path('bank.db'), spoolDirectory: place.path('spool') };
    const held = await backUp(sourceOf(host, common), inner.path('held.db'));
    const first = await backUp(sourceOf(host, { ...common, copyFirst: true }), inner.path('first.db'));
    await writer.stop();
    expect(bankFaults(inner.path('first.db'))).toEqual([]);
    expect(Number(first.facts.walPagesLaidOver)).toBeGreaterThan(0);
    expect(readFileSync(inner.path('first.db')).equals(readFileSync(inner.path('held.db')))).toBe(true);
    expect(first.fingerprint?.facts).toEqual(held.fingerprint?.facts);
  }
});

test('the copy is its owner’s alone, and is gone with the capture', async () => {
  {
    await using capture = await sqlite.capture(source());
    const [room] = readdirSync(place.path('spool'));
    const modes = spawnSync('stat', ['-c', '%a', place.path(`spool/${room}`), place.path(`spool/${room}/copy.db`)], {
      encoding: 'utf8',
    });
    expect(modes.stdout).toBe('700\n600\n');
    await capture.complete();
  }
  expect(readdirSync(place.path('spool'))).toEqual([]);
});

test('several backups of one database at once do not take each other for a program of this process', async () => {
  const wanted = source();
  const copies = await Promise.all(Array.from({ length: 4 }, () => sqlite.capture(wanted)));
  for (const capture of copies) {
    expect(bankFaults(await openCopy(capture))).toEqual([]);
    await capture.complete();
    await capture[Symbol.asyncDispose]();
  }
});
