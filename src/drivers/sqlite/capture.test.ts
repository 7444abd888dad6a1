import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { holdsDatabase } from '../../base/open-databases.ts';
import { localHost } from '../../hosts/local/index.ts';
import type { Fingerprint } from '../../model/fingerprint.ts';
import type { SourceContext } from '../driver.ts';
import { bankFaults, ledgerLength, seedBank } from './fixture.ts';
import { backUp, filesOf, type Playground, playground, sourceOf, startWriter, writeOut } from './fixture-run.ts';
import { sqlite } from './index.ts';
import type { Settings } from './settings.ts';
import { compareCopy } from './throwaway.ts';

const host = localHost();
let place: Playground;
beforeEach(() => {
  place = playground();
});
afterEach(() => place[Symbol.dispose]());

/** The copy, restored into a throwaway by plain means, must give every fact again. */
async function expectProven(source: SourceContext<Settings>, file: string, fingerprint: Fingerprint | undefined) {
  using throwaway = playground();
  copyFileSync(file, throwaway.path('copy.db'));
  const copy = { throwaway: { directory: throwaway.directory, host: source.local }, path: throwaway.path('copy.db') };
  const checks = await compareCopy(source, copy, fingerprint);
  expect(checks.length).toBeGreaterThan(0);
  expect(checks.filter((check) => !check.ok)).toEqual([]);
}

describe('while programs have it open', () => {
  test('frames of the WAL are part of the copy, and an idle open database is left as it is', async () => {
    const path = place.path('bank.db');
    seedBank({ path });
    const writer = await startWriter({ path, perSecond: 1, transfers: 30 });
    const source = sourceOf(host, { path });
    const { facts, fingerprint } = await backUp(source, place.path('copy.db'));
    await writer.stop();
    expect(Number(facts.walPagesLaidOver)).toBeGreaterThan(0);
    expect(ledgerLength(place.path('copy.db'))).toBeGreaterThanOrEqual(30);
    expect(bankFaults(place.path('copy.db'))).toEqual([]);
    await expectProven(source, place.path('copy.db'), fingerprint);
  });

  test('commits and every kind of checkpoint after the capture do not reach the copy (read marks above 0)', async () => {
    const path = place.path('bank.db');
    seedBank({ path });
    const first = await startWriter({ path, perSecond: 1, transfers: 7 });
    await using capture = await sqlite.capture(sourceOf(host, { path }));
    const seen = readLedgerBySqlite3(path);
    for (const kind of ['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'] as const) {
      const other = await startWriter({ path, perSecond: 0, transfers: 50, checkpoints: [kind] });
      await other.stop();
    }
    await writeOut((await filesOf(capture)).get(path)!, place.path('copy.db'));
    await capture.complete();
    await first.stop();
    expect(ledgerLength(place.path('copy.db'))).toBeLessThanOrEqual(seen);
    expect(bankFaults(place.path('copy.db'))).toEqual([]);
  });

  test('with read mark 0 the main file alone is the state, even if the WAL is restarted meanwhile', async () => {
    const path = place.path('bank.db');
    seedBank({ path });
    // A connection that stays keeps the checkpointed WAL in place.
    const keeper = await startWriter({ path, perSecond: 0.01 });
    spawnSync('sqlite3', [path, 'PRAGMA wal_checkpoint(FULL)']);
    const source = sourceOf(host, { path });
    await using capture = await sqlite.capture(source);
    const other = await startWriter({ path, perSecond: 0, transfers: 50, checkpoints: ['FULL', 'TRUNCATE'] });
    await other.stop();
    const files = await filesOf(capture);
    await writeOut(files.get(path)!, place.path('copy.db'));
    await writeOut(files.get('/.holdfast/fingerprint.json')!, place.path('fingerprint.json'));
    await capture.complete();
    await keeper.stop();
    expect(ledgerLength(place.path('copy.db'))).toBe(1);
    expect(bankFaults(place.path('copy.db'))).toEqual([]);
    await expectProven(source, place.path('copy.db'), JSON.parse(readFileSync(place.path('fingerprint.json'), 'utf8')));
  });

  test('a writer that is killed, and leaves its locks and WAL, changes nothing for the next backup', async () => {
    const path = place.path('bank.db');
    seedBank({ path });
    const writer = await startWriter({ path, perSecond: 0, transfers: 5 });
    await writer.crash();
    const wal = readFileSync(`${path}-wal`);
    await backUp(sourceOf(host, { path }), place.path('copy.db'));
    expect(readFileSync(`${path}-wal`).equals(wal)).toBe(true);
    expect(bankFaults(place.path('copy.db'))).toEqual([]);
    expect(ledgerLength(place.path('copy.db'))).toBeGreaterThan(0);
  });

  test('a WAL that grows beyond its limit ends the backup rather than filling the disk', async () => {
    const path = place.path('bank.db');
    seedBank({ path });
    let writer: Awaited<ReturnType<typeof startWriter>> | undefined;
    const outcome = backUp(sourceOf(host, { path, maxWalBytes: 200_000 }), place.path('copy.db'), async () => {
      expect(holderId()).toBeGreaterThan(0);
      writer = await startWriter({ path, perSecond: 0, transfers: 20 });
      // Its lock is given up in the midst of the backup, not at its end.
      await expect.poll(holderId).toBeUndefined();
    });
    await expect(outcome).rejects.toMatchObject({
      code: 'source.busy',
      message: expect.stringContaining('write-ahead log'),
    });
    await writer?.stop();
  });

  test('a holder that is killed makes the backup fail, never a torn copy', async () => {
    const path = place.path('bank.db');
    seedBank({ path });
    const outcome = backUp(sourceOf(host, { path }), place.path('copy.db'), async () => {
      process.kill(holderId()!, 'SIGKILL');
      await new Promise((r) => setTimeout(r, 200));
    });
    await expect(outcome).rejects.toMatchObject({ code: 'host.command-failed' });
  });

  test.skipIf(!existsSync('/dev/shm'))('a database on tmpfs is copied like any other', async () => {
    using memory = playground('/dev/shm');
    const path = memory.path('bank.db');
    seedBank({ path });
    const writer = await startWriter({ path, perSecond: 0, transfers: 5 });
    await backUp(sourceOf(host, { path }), place.path('copy.db'));
    await writer.stop();
    expect(bankFaults(place.path('copy.db'))).toEqual([]);
  });

  test('while the state is held in WAL mode, a commit that may not wait at all succeeds', async () => {
    const path = place.path('bank.db');
    seedBank({ path });
    await using capture = await sqlite.capture(sourceOf(host, { path }));
    const commit = spawnSync('sqlite3', [path, '.timeout 0', 'UPDATE account SET balance = balance'], {
      encoding: 'utf8',
    });
    expect(commit).toMatchObject({ status: 0, stderr: '' });
    await capture.complete();
  });
});

/** The process that holds the locks of a backup of this process; `undefined` where there is none. */
function holderId(): number | undefined {
  const { stdout } = spawnSync('ps', ['-o', 'pid=,args=', '--ppid', String(process.pid)], { encoding: 'utf8' });
  const line = stdout.split('\n').find((one) => one.includes('sqlite/holder.ts'));
  return line === undefined ? undefined : Number(line.trim().split(' ')[0]);
}

function readLedgerBySqlite3(path: string): number {
  return Number(spawnSync('sqlite3', [path, 'SELECT count(*) FROM ledger'], { encoding: 'utf8' }).stdout);
}

describe('rollback journal', () => {
  test.each(['delete', 'truncate', 'persist'] as const)(
    'a copy under constant writes is one moment, and the pause is measured: %s',
    async (journal) => {
      const path = place.path('bank.db');
      seedBank({ path, journal, blobs: 1000 });
      const writer = await startWriter({ path, perSecond: 100, synchronous: 'OFF' });
      const source = sourceOf(host, { path });
      const begunMs = performance.now();
      const { facts, fingerprint, notes } = await backUp(source, place.path('copy.db'));
      const wholeMs = performance.now() - begunMs;
      await writer.stop();
      expect(bankFaults(place.path('copy.db'))).toEqual([]);
      expect(facts).toMatchObject({
        corrected: true,
        journalMode: journal === 'delete' ? 'delete' : expect.any(String),
      });
      expect(Number(facts.writerPauseMs)).toBeLessThan(wholeMs);
      expect(notes.join()).toContain('writers waited');
      await expectProven(source, place.path('copy.db'), fingerprint);
    },
  );

  test('a database nobody writes is read once: the change counter and the times prove it', async () => {
    const path = place.path('bank.db');
    seedBank({ path, journal: 'delete' });
    await new Promise((r) => setTimeout(r, 100));
    const { facts } = await backUp(sourceOf(host, { path }), place.path('copy.db'));
    expect(facts).toMatchObject({ passes: 1, corrected: false });
    expect(readFileSync(place.path('copy.db')).equals(readFileSync(path))).toBe(true);
  });

  test('a pause beyond the budget is refused with the remedy', async () => {
    const path = place.path('bank.db');
    seedBank({ path, journal: 'delete', blobs: 20_000 });
    const writer = await startWriter({ path, perSecond: 0, synchronous: 'OFF' });
    const outcome = backUp(sourceOf(host, { path, maxWriterPauseMs: 1 }), place.path('copy.db'));
    await expect(outcome).rejects.toMatchObject({
      code: 'source.busy',
      remedy: expect.stringContaining('journal_mode=WAL'),
    });
    await writer.stop();
  });

  test('a hot journal is rolled back first, and said so', async () => {
    const path = place.path('bank.db');
    seedBank({ path, journal: 'delete', blobs: 500 });
    const script = `
      const { DatabaseSync } = require('node:sqlite');
      const db = new DatabaseSync(${JSON.stringify(path)});
      db.exec('PRAGMA cache_size = 5; PRAGMA cache_spill = 1; BEGIN; UPDATE account SET balance = balance + 1; UPDATE page SET content = randomblob(3900)');
      process.kill(process.pid, 'SIGKILL');`;
    spawnSync(process.execPath, ['-e', script]);
    expect(statSync(`${path}-journal`).size).toBeGreaterThan(512);
    expect(bankFaults(path)).not.toEqual([]);
    expect((await sqlite.probe(sourceOf(host, { path })))[1]).toMatchObject({ level: 'warning' });
    const { notes } = await backUp(sourceOf(host, { path }), place.path('copy.db'));
    expect(bankFaults(place.path('copy.db'))).toEqual([]);
    expect(notes.join()).toContain('rolled back');
  });
});

describe('things that are no ordinary database', () => {
  const refused = async (path: string, settings: Partial<Settings> = {}) =>
    await sqlite.capture(sourceOf(host, { path, ...settings }));

  test('an empty file is an empty database', async () => {
    writeFileSync(place.path('empty.db'), '');
    const source = sourceOf(host, { path: place.path('empty.db') });
    const { fingerprint } = await backUp(source, place.path('copy.db'));
    expect(statSync(place.path('copy.db')).size).toBe(0);
    await expectProven(source, place.path('copy.db'), fingerprint);
  });

  test('a missing file, a directory, text and noise are refused by name', async () => {
    writeFileSync(place.path('text'), 'not a database at all, but long enough to hold a header'.repeat(10));
    writeFileSync(place.path('short'), 'SQLite');
    await expect(refused(place.path('absent'))).rejects.toMatchObject({ code: 'source.missing' });
    await expect(refused(place.directory)).rejects.toMatchObject({ code: 'source.unsupported' });
    await expect(refused(place.path('text'))).rejects.toMatchObject({ code: 'source.unsupported' });
    await expect(refused(place.path('short'))).rejects.toMatchObject({ code: 'source.unsupported' });
  });

  test('a header alone does not make a database', async () => {
    seedBank({ path: place.path('bank.db'), journal: 'delete' });
    const bytes = readFileSync(place.path('bank.db'));
    bytes.fill(0xa5, 100, 4096);
    writeFileSync(place.path('bad.db'), bytes);
    await expect(refused(place.path('bad.db'))).rejects.toMatchObject({
      code: 'source.unreadable',
      remedy: expect.stringContaining('.recover'),
    });
  });

  test.each(['wal', 'delete'] as const)(
    'a database locked for one program alone is reported busy: %s',
    async (journal) => {
      const path = place.path('bank.db');
      seedBank({ path, journal });
      const writer = await startWriter({ path, perSecond: 1, exclusive: true });
      await expect(refused(path, { busyTimeoutMs: 50 })).rejects.toMatchObject({
        code: 'source.busy',
        remedy: expect.stringContaining('locking_mode'),
      });
      await writer.stop();
    },
  );

  test('a symlink is followed as SQLite does, and the snapshot keeps the name that was asked for', async () => {
    mkdirSync(place.path('real'));
    const path = place.path('real/bank.db');
    seedBank({ path });
    symlinkSync(place.path('real'), place.path('folder'));
    symlinkSync(path, place.path('link.db'));
    const writer = await startWriter({ path, perSecond: 1, transfers: 5 });
    for (const name of ['link.db', 'folder/bank.db']) {
      const source = sourceOf(host, { path: place.path(name) });
      const { facts } = await backUp(source, place.path('copy.db'));
      expect(facts.realPath).toBe(path);
      expect(bankFaults(place.path('copy.db'))).toEqual([]);
      expect(ledgerLength(place.path('copy.db'))).toBeGreaterThanOrEqual(5);
    }
    await writer.stop();
  });

  test('names with quotes, percent signs, question marks and unicode are just names', async () => {
    const path = place.path(`a "b" 'c' ?mode=ro&x=%41#d é.db`);
    seedBank({ path });
    await backUp(sourceOf(host, { path }), place.path('copy.db'));
    expect(bankFaults(place.path('copy.db'))).toEqual([]);
  });

  test('a database that this very process works with is copied by another, and keeps its locks', async () => {
    const path = place.path('bank.db');
    seedBank({ path });
    using db = new DatabaseSync(path);
    db.prepare('SELECT count(*) FROM sqlite_schema').get();
    using _ = holdsDatabase(path);
    db.exec('BEGIN IMMEDIATE');
    await backUp(sourceOf(host, { path }), place.path('copy.db'));
    expect(bankFaults(place.path('copy.db'))).toEqual([]);
    const other = spawnSync('sqlite3', [path, 'BEGIN IMMEDIATE'], { encoding: 'utf8' });
    expect(other.stderr).toContain('locked');
  });
});
