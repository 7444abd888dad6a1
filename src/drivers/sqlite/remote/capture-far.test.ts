import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Host } from '../../../hosts/host.ts';
import { localHost } from '../../../hosts/local/index.ts';
import { compareFacts } from '../../../model/fingerprint.ts';
import { takeFacts } from '../fingerprint.ts';
import { bankFaults, ledgerLength, seedBank, transfer } from '../fixture.ts';
import { backUp, filesDigest, type Playground, playground, sourceOf, startWriter } from '../fixture-run.ts';
import { sqlite } from '../index.ts';
import type { Settings } from '../settings.ts';
import { type FarTraits, farHost } from './fixture-far.ts';

const local = localHost();
const ways = ['python3', 'sqlite3', 'none'] as const;

let place: Playground;
beforeEach(() => {
  place = playground();
});
afterEach(() => place[Symbol.dispose]());

function farSource(settings: { path: string } & Partial<Settings>, traits?: FarTraits) {
  return sourceOf(farHost(local, traits), settings, local);
}

async function factsOf(path: string) {
  using db = new DatabaseSync(`file://${path}?immutable=1`, { readOnly: true });
  return (await takeFacts(db, 'full', async () => {})).facts;
}

/** A copy has all that was stored, and its own rows are those of its fingerprint. */
async function expectWhole(source: ReturnType<typeof farSource>, transfers: number) {
  const to = place.path('copy.db');
  const result = await backUp(source, to);
  expect(bankFaults(to)).toEqual([]);
  expect(ledgerLength(to)).toBe(transfers);
  const facts = await factsOf(to);
  expect(compareFacts(result.fingerprint?.facts ?? [], facts).filter((check) => !check.ok)).toEqual([]);
  expect(result.fingerprint?.facts).toEqual(facts);
  return result;
}

describe.each(ways)('held by %s', (hold) => {
  test.each(['wal', 'delete', 'persist'] as const)(
    'a database that is at rest is copied whole and left as it was: %s',
    async (journal) => {
      const folder = place.path('db');
      mkdirSync(folder);
      const path = `${folder}/bank.db`;
      seedBank({ path, journal });
      using db = new DatabaseSync(path);
      transfer(db, 7, Math.random);
      db.close();
      const before = filesDigest(folder);
      const { facts } = await expectWhole(farSource({ path, hold }), 7);
      if (journal === 'wal') expect(facts.journalMode).toBe('wal');
      else expect(facts.journalMode).not.toBe('wal');
      expect(filesDigest(folder)).toEqual(before);
    },
  );

  test('what lies in the log of a database that a program has open is in the copy', async () => {
    const path = place.path('bank.db');
    seedBank({ path });
    using db = new DatabaseSync(path);
    db.exec('PRAGMA wal_autocheckpoint = 0');
    transfer(db, 30, Math.random);
    const { facts } = await expectWhole(farSource({ path, hold }), 30);
    expect(facts.walPagesLaidOver).toBeGreaterThan(0);
  });

  test('a checkpoint that stopped half way, a log made shorter by vacuum, and pages of any size', async () => {
    for (const pageBytes of [512, 65536]) {
      const path = place.path(`bank-${pageBytes}.db`);
      seedBank({ path, pageBytes, blobs: 60 });
      using reader = new DatabaseSync(path);
      using db = new DatabaseSync(path);
      db.exec('PRAGMA wal_autocheckpoint = 0');
      transfer(db, 10, Math.random);
      reader.exec('BEGIN');
      reader.prepare('SELECT count(*) FROM account').get();
      transfer(db, 10, Math.random);
      db.prepare('PRAGMA wal_checkpoint(PASSIVE)').get();
      db.exec('DELETE FROM page WHERE id > 10; VACUUM');
      await expectWhole(farSource({ path, hold }), 20);
    }
  });

  test('a log that a crash left is in the copy', async () => {
    const path = place.path('bank.db');
    seedBank({ path });
    using db = new DatabaseSync(path);
    db.exec('PRAGMA wal_autocheckpoint = 0');
    transfer(db, 12, Math.random);
    const left = place.path('left.db');
    for (const suffix of ['', '-wal', '-shm']) copyFileSync(path + suffix, left + suffix);
    await expectWhole(farSource({ path: left, hold }), 12);
  });

  test('an empty file and a database that was never written to are copied', async () => {
    writeFileSync(place.path('empty.db'), '');
    await backUp(farSource({ path: place.path('empty.db'), hold }), place.path('copy.db'));
    expect(readFileSync(place.path('copy.db'))).toHaveLength(0);
  });

  test('symlinks are followed, also relative ones and those of directories', async () => {
    mkdirSync(place.path('real'));
    seedBank({ path: place.path('real/bank.db') });
    symlinkSync('real', place.path('folder'));
    symlinkSync('../folder/bank.db', place.path('real/link.db'));
    const path = place.path('folder/link.db');
    const { facts } = await expectWhole(farSource({ path, hold }), 0);
    expect(facts.realPath).toBe(place.path('real/bank.db'));
  });

  test.each(['wal', 'delete'] as const)(
    'a database that a program locks for itself alone is refused or whole: %s',
    async (journal) => {
      const path = place.path('bank.db');
      seedBank({ path, journal });
      const writer = await startWriter({ path, perSecond: 0.1, exclusive: true });
      const backup = backUp(farSource({ path, hold, busyTimeoutMs: 50, attempts: 2 }), place.path('copy.db'));
      // what the files alone say is enough in WAL mode, where they are only added to; else the lock that is kept says no
      if (hold === 'none' && journal === 'wal') {
        await backup;
        expect(bankFaults(place.path('copy.db'))).toEqual([]);
      } else {
        await expect(backup).rejects.toMatchObject({ code: 'source.busy' });
      }
      await writer.stop();
    },
  );

  test('nothing of a backup stays: no process, no file', async () => {
    const path = place.path('bank.db');
    seedBank({ path });
    const spoolDirectory = place.path('spool');
    mkdirSync(spoolDirectory);
    await backUp(farSource({ path, hold, spoolDirectory }), place.path('copy.db'));
    await expect(
      sqlite.capture(farSource({ path: place.path('none.db'), hold, spoolDirectory })),
    ).rejects.toMatchObject({ code: 'source.missing' });
    expect(readdirSync(spoolDirectory)).toEqual([]);
    expect(processesWith(path)).toEqual([]);
  });
});

test('the fingerprint that python3 takes is ours, whatever lies in the tables', async () => {
  const path = place.path('odd.db');
  using db = new DatabaseSync(path);
  db.exec(`PRAGMA journal_mode = wal; PRAGMA user_version = -7; PRAGMA application_id = 1234567;
    CREATE TABLE "quo""ted" (a, "b c" TEXT, rowid TEXT, g INT GENERATED ALWAYS AS (a + 1) VIRTUAL, s INT AS (a + 2) STORED);
    INSERT INTO "quo""ted" (a, "b c", rowid) VALUES (1, 'x', 'r'), (1.0, x'31', NULL), ('1', '', x''), (-9223372036854775808, 'ü€😀', 1e308);
    CREATE TABLE texts (t);
    INSERT INTO texts VALUES (char(0) || 'a' || char(0)), (CAST(x'ff00fe' AS TEXT)), (char(65533)), (char(65279) || 'bom'), (1e999), (-0.0), (9007199254740993);
    CREATE TABLE pairs (x TEXT, y INT, z, PRIMARY KEY (y DESC, x)) WITHOUT ROWID;
    INSERT INTO pairs VALUES ('b', 1, 2), ('a', 1, 3), ('c', 0, NULL);
    CREATE TABLE hidden (rowid, _rowid_, oid); INSERT INTO hidden VALUES (3, 2, 1), (1, 2, 3);
    CREATE TABLE keyed (rowid, _rowid_, oid, PRIMARY KEY (oid)) WITHOUT ROWID; INSERT INTO keyed VALUES (3, 2, 1), (1, 2, 0);
    CREATE VIRTUAL TABLE words USING fts5(body); INSERT INTO words VALUES ('some words'), ('more words');
    CREATE VIEW seen AS SELECT * FROM texts; CREATE TABLE seq (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO seq DEFAULT VALUES;
    CREATE TABLE large (b BLOB); INSERT INTO large SELECT zeroblob(700000) UNION ALL SELECT randomblob(5000);`);
  const wide = place.path('wide.db');
  using other = new DatabaseSync(wide);
  other.exec(`PRAGMA encoding = 'UTF-16le'; PRAGMA journal_mode = wal; CREATE TABLE t (a TEXT, b);
    INSERT INTO t VALUES ('plain', 1), ('ü€😀', 2), (CAST(x'00d84100' AS TEXT), 3), (char(65533), x'00d8');
    CREATE TABLE u (a TEXT); INSERT INTO u VALUES ('only'), ('valid text')`);
  for (const each of [path, wide]) {
    for (const fingerprint of ['full', 'counts'] as const) {
      const to = place.path('copy.db');
      const taken = await backUp(farSource({ path: each, hold: 'python3', fingerprint }), to);
      using copy = new DatabaseSync(`file://${to}?immutable=1`, { readOnly: true });
      expect(taken.fingerprint?.facts).toEqual((await takeFacts(copy, fingerprint, async () => {})).facts);
    }
  }
});

describe.each(['python3', 'sqlite3'] as const)('a rollback journal, held by %s', (hold) => {
  test('what was written while the copy was made is corrected while writers wait, and only then', async () => {
    const path = place.path('bank.db');
    seedBank({ path, journal: 'delete', blobs: 1500 });
    let reads = 0;
    const onRead = (read: string): void => {
      if (read !== path || ++reads !== 5) return;
      spawnSync('sqlite3', [
        path,
        "UPDATE page SET content = x'00' WHERE id IN (1, 700, 1400); DELETE FROM page WHERE id > 1450; VACUUM",
      ]);
    };
    const { facts } = await expectWhole(farSource({ path, hold }, { onRead }), 0);
    expect(facts).toMatchObject({ corrected: true, journalMode: 'delete' });
  });

  test('a pause that would be longer than allowed is refused', async () => {
    const path = place.path('bank.db');
    seedBank({ path, journal: 'delete', blobs: 15_000 });
    const writer = await startWriter({ path, perSecond: 20 });
    const capture = sqlite.capture(farSource({ path, hold, maxWriterPauseMs: 1 }));
    await expect(capture).rejects.toMatchObject({
      code: 'source.busy',
      remedy: expect.stringContaining('journal_mode=WAL'),
    });
    await writer.stop();
  });

  test('a transaction that a crash interrupted is rolled back, and a note says so', async () => {
    const path = place.path('bank.db');
    seedBank({ path, journal: 'delete' });
    const writer = spawn('sqlite3', [path], { stdio: ['pipe', 'pipe', 'inherit'] });
    writer.stdin.write("PRAGMA cache_size = 5; BEGIN; UPDATE page SET content = x'01'; SELECT 'written';\n");
    for await (const line of writer.stdout) if (String(line).includes('written')) break;
    writer.kill('SIGKILL');
    await once(writer, 'exit');
    const { notes } = await expectWhole(farSource({ path, hold }), 0);
    expect(notes.join()).toContain('rolled back');
  });
});

test.each(ways)('a backup that is cancelled while it copies leaves no process and no file: %s', async (hold) => {
  const path = place.path('bank.db');
  seedBank({ path, blobs: 1500 });
  const spoolDirectory = place.path('spool');
  mkdirSync(spoolDirectory);
  const stop = new AbortController();
  let reads = 0;
  const onRead = (read: string): void => {
    if (read === path && ++reads === 4) stop.abort();
  };
  const source = { ...farSource({ path, hold, spoolDirectory }, { onRead }), signal: stop.signal };
  await expect(backUp(source, place.path('copy.db'))).rejects.toMatchObject({ code: 'cancelled' });
  expect(readdirSync(spoolDirectory)).toEqual([]);
  expect(processesWith(path)).toEqual([]);
});

test.each(['python3', 'sqlite3'] as const)(
  'a log that grows too large under the lock ends the backup: %s',
  async (hold) => {
    const path = place.path('bank.db');
    seedBank({ path, blobs: 1500 });
    const writer = await startWriter({ path, perSecond: 100, transfers: 10 });
    let slow = true;
    const onRead = async (read: string): Promise<void> => {
      if (read === path && slow) await sleep(300);
    };
    const backup = backUp(
      farSource({ path, hold, maxWalBytes: 100_000, fingerprint: 'off' }, { onRead }),
      place.path('copy.db'),
    );
    await expect(backup).rejects.toMatchObject({ code: 'source.busy', message: expect.stringContaining('grew by') });
    slow = false;
    await writer.stop();
  },
);

test('a holder that dies in the midst of the copy ends the backup, whatever was read', async () => {
  const path = place.path('bank.db');
  seedBank({ path, blobs: 1500 });
  const attempt = backUp(farSource({ path, hold: 'python3' }), place.path('copy.db'), async () => {
    const holders = processesWith(path).filter((id) => readFileSync(`/proc/${id}/comm`, 'utf8').startsWith('python'));
    expect(holders).toHaveLength(1);
    process.kill(holders[0], 'SIGKILL');
    await sleep(50);
  });
  await expect(attempt).rejects.toMatchObject({ code: 'host.command-failed' });
});

/** Of this machine, this one included. */
function processesWith(path: string): number[] {
  const ids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return ids.filter((id) => openFilesOf(id).includes(path)).map(Number);
}

function openFilesOf(id: string): string[] {
  try {
    return readdirSync(`/proc/${id}/fd`).map((name) => readlinkSync(`/proc/${id}/fd/${name}`));
  } catch {
    return []; // it ended, or is another's
  }
}

test('an account that may not write where nobody has the database open is served without a lock', async () => {
  const path = place.path('bank.db');
  seedBank({ path });
  // as a host would say where SQLite cannot make its files
  const far = farHost(local);
  const refusing: Host = {
    ...far,
    run: async (command) => {
      if (command.argv[0] === 'python3' && command.argv.length === 5) {
        const reply = '{"id":1,"failure":{"message":"unable to open database file","sqlite":14}}';
        return await local.run({ ...command, argv: ['sh', '-c', 'echo "$1"; cat >/dev/null', 'sh', reply] });
      }
      return await far.run(command);
    },
  };
  const { notes, facts } = await backUp(sourceOf(refusing, { path }, local), place.path('copy.db'));
  expect(bankFaults(place.path('copy.db'))).toEqual([]);
  expect(notes.join()).toContain('may not lock');
  expect(facts.readWith).toContain('without a lock');
});

describe('a probe', () => {
  const probe = (settings: { path: string } & Partial<Settings>, traits?: FarTraits) =>
    sqlite.probe(farSource(settings, traits));

  test('says which way is taken and why', async () => {
    const path = place.path('bank.db');
    seedBank({ path });
    const said = async (...args: Parameters<typeof probe>) =>
      (await probe(...args)).map(({ level, message }) => `${level}: ${message}`).join('\n');
    expect(await said({ path })).toMatch(
      /ok: python3 on far \(SQLite [\d.]+\) holds a read transaction and reads the rows/,
    );
    expect(await said({ path }, { without: ['python3'] })).toMatch(
      /ok: sqlite3 on far .* and the copy proves itself[\s\S]*free for the copy/,
    );
    expect(await said({ path, hold: 'none' }, { coarse: true })).toMatch(
      /warning: no program will hold the database[\s\S]*whole seconds/,
    );
  });

  test('finds what keeps a backup from beginning', async () => {
    writeFileSync(place.path('text.db'), 'no database'.repeat(20));
    expect(await probe({ path: place.path('text.db') })).toMatchObject([{ level: 'error' }]);
    expect(await probe({ path: place.path('none.db') })).toMatchObject([{ level: 'error' }]);
    seedBank({ path: place.path('bank.db'), journal: 'delete' });
    const found = await probe({ path: place.path('bank.db'), hold: 'sqlite3' }, { without: ['sqlite3'] });
    expect(found).toMatchObject([{ level: 'error', message: expect.stringContaining('hold: sqlite3') }]);
    for (const finding of await probe({ path: place.path('bank.db') })) {
      expect(finding.level === 'ok' || finding.remedy !== undefined).toBe(true);
    }
  });
});

test('without python3 the sqlite3 shell is taken, and without both the files alone', async () => {
  const path = place.path('bank.db');
  seedBank({ path });
  const readWith = async (...without: string[]) =>
    (await backUp(farSource({ path }, { without }), place.path('copy.db'))).facts.readWith;
  expect(await readWith()).toMatch(/^SQLite [\d.]+ of python3 on far$/);
  expect(await readWith('python3')).toMatch(/^SQLite [\d.]+ of sqlite3 on far$/);
  expect(await readWith('python3', 'sqlite3')).toBe('no SQLite on far: read without a lock');
  const forced = farSource({ path, hold: 'sqlite3' }, { without: ['sqlite3'] });
  await expect(sqlite.capture(forced)).rejects.toMatchObject({ code: 'host.command-missing' });
});
