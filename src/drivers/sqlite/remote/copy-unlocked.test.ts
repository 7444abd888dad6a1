/** Without a lock: what comes in between is either harmless, and the copy is whole, or it is noticed, and the copy is made again or refused. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { localHost } from '../../../hosts/local/index.ts';
import { bankFaults, ledgerLength, seedBank, transfer } from '../fixture.ts';
import { backUp, type Playground, playground, sourceOf, startWriter } from '../fixture-run.ts';
import { sqlite } from '../index.ts';
import { type FarTraits, farHost } from './fixture-far.ts';

const local = localHost();

let place: Playground;
let path: string;
beforeEach(() => {
  place = playground();
  path = place.path('bank.db');
});
afterEach(() => place[Symbol.dispose]());

/** Backs up without a lock while `disturb` runs before each read of a file of that name; the number of the read comes along. */
async function backUpDisturbed(suffix: string, disturb: (read: number) => void, traits: FarTraits = {}) {
  let reads = 0;
  const onRead = (read: string): void => {
    if (read === `${path}${suffix}`) disturb(reads++);
  };
  const source = sourceOf(farHost(local, { ...traits, onRead }), { path, hold: 'none', attempts: 3 }, local);
  const result = await backUp(source, place.path('copy.db'));
  expect(bankFaults(place.path('copy.db'))).toEqual([]);
  return result;
}

function openBank(): DatabaseSync {
  const db = new DatabaseSync(path);
  db.exec('PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = OFF');
  return db;
}

const checkpoint = (db: DatabaseSync, kind: string): unknown => db.prepare(`PRAGMA wal_checkpoint(${kind})`).get();

describe('in WAL mode', () => {
  test('commits and checkpoints while the database is read are all in the copy: the log was not restarted', async () => {
    seedBank({ path, blobs: 1500 });
    using db = openBank();
    transfer(db, 20, Math.random);
    const { facts } = await backUpDisturbed('', (read) => {
      // in the midst of the main file: pages change behind and before the reader
      if (read !== 4) return;
      transfer(db, 200, Math.random);
      checkpoint(db, 'PASSIVE');
      transfer(db, 5, Math.random);
    });
    // a checkpoint of everything is followed by a restart with the next commit
    expect(facts.tries).toBe(2);
    expect(ledgerLength(place.path('copy.db'))).toBe(225);
  });

  test('a checkpoint that a reader holds back changes the main file under the copy, which is whole at once', async () => {
    seedBank({ path, blobs: 1500 });
    using db = openBank();
    using reader = new DatabaseSync(path);
    transfer(db, 20, Math.random);
    const { facts } = await backUpDisturbed('', (read) => {
      if (read !== 4) return;
      transfer(db, 200, Math.random);
      reader.exec('BEGIN');
      reader.prepare('SELECT count(*) FROM ledger').get();
      transfer(db, 5, Math.random);
      checkpoint(db, 'PASSIVE');
      transfer(db, 5, Math.random);
    });
    expect(facts.tries).toBe(1);
    expect(ledgerLength(place.path('copy.db'))).toBe(230);
  });

  test.each(['RESTART', 'TRUNCATE'])('a log that is restarted while it is read itself is noticed: %s', async (kind) => {
    seedBank({ path, blobs: 1500 });
    using db = openBank();
    transfer(db, 300, Math.random);
    let restarted = false;
    const { facts } = await backUpDisturbed('-wal', (read) => {
      // the first read is that of the header
      if (read !== 3 || restarted) return;
      restarted = true;
      checkpoint(db, kind);
      transfer(db, 3, Math.random);
    });
    expect(restarted).toBe(true);
    expect(facts.tries).toBe(2);
    expect(ledgerLength(place.path('copy.db'))).toBe(303);
  });

  test('a log that grows faster than it is read does not keep the copy from ending', async () => {
    seedBank({ path });
    using db = openBank();
    transfer(db, 5, Math.random);
    const { facts } = await backUpDisturbed('-wal', () => transfer(db, 100, Math.random));
    expect(facts.tries).toBe(1);
  });

  test('a database that every try finds restarted is refused, with what would help', async () => {
    seedBank({ path });
    using db = openBank();
    transfer(db, 2, Math.random);
    const attempt = backUpDisturbed('', () => {
      checkpoint(db, 'RESTART');
      transfer(db, 1, Math.random);
    });
    await expect(attempt).rejects.toMatchObject({
      code: 'source.busy',
      remedy: expect.stringMatching(/python3 or sqlite3/),
    });
  });

  test('a program that opens a closed database, writes and closes it again is noticed', async () => {
    seedBank({ path, blobs: 1500 });
    const { facts } = await backUpDisturbed('', (read) => {
      if (read !== 6) return;
      using db = new DatabaseSync(path);
      transfer(db, 50, Math.random);
    });
    expect(facts.tries).toBe(2);
    expect(ledgerLength(place.path('copy.db'))).toBe(50);
  });

  test('a log of which a frame is damaged is refused: later ones may be in the main file already', async () => {
    seedBank({ path });
    const writer = await startWriter({ path, perSecond: 0.1, autocheckpoint: 100_000, transfers: 50 });
    const file = openSync(`${path}-wal`, 'r+');
    writeSync(file, Buffer.from('damaged'), 0, 7, 32 + 3 * (24 + 4096) + 1000);
    closeSync(file);
    const source = sourceOf(farHost(local), { path, hold: 'none', attempts: 2 }, local);
    await expect(sqlite.capture(source)).rejects.toMatchObject({
      code: 'source.busy',
      message: expect.stringContaining('damaged'),
    });
    await writer.crash();
  });

  test('a log whose header is not valid is not taken for an empty one', async () => {
    seedBank({ path });
    using db = openBank();
    transfer(db, 1, Math.random);
    transfer(db, 1, Math.random);
    await backUpDisturbed('-wal', (read) => {
      if (read === 1) writeFileSync(`${path}-wal`, Buffer.from([0xff]), { flag: 'r+' });
    }).then(
      () => expect.fail('a log that was overwritten was taken'),
      (error: unknown) => expect(error).toMatchObject({ code: 'source.busy' }),
    );
  });
});

describe('with a rollback journal', () => {
  test.each([{ coarse: false }, { coarse: true }])(
    'a commit while the database is read is noticed, and the next try is whole: %o',
    async (traits) => {
      seedBank({ path, journal: 'delete', blobs: 1500 });
      using db = new DatabaseSync(path);
      const { facts } = await backUpDisturbed(
        '',
        (read) => {
          if (read === 4) transfer(db, 50, Math.random);
        },
        traits,
      );
      expect(facts.tries).toBe(2);
      expect(ledgerLength(place.path('copy.db'))).toBe(50);
    },
  );

  test('a transaction that was begun and rolled back on the disk is noticed', async () => {
    seedBank({ path, journal: 'delete', blobs: 1500 });
    using db = new DatabaseSync(path);
    db.exec('PRAGMA cache_size = 5; PRAGMA synchronous = OFF');
    const { facts } = await backUpDisturbed('', (read) => {
      if (read !== 4) return;
      db.exec('BEGIN; UPDATE page SET content = randomblob(3900); UPDATE account SET balance = 0; ROLLBACK');
    });
    expect(facts.tries).toBe(2);
  });

  test.each(['delete', 'memory', 'off'])(
    'a database in the midst of a transaction that has written to it is refused: journal_mode %s',
    async (mode) => {
      seedBank({ path, journal: 'delete', blobs: 300 });
      // A process of its own: this one drops its locks when the test's host closes the file.
      const writer = spawn('sqlite3', [path], { stdio: ['pipe', 'pipe', 'inherit'] });
      writer.stdin.write(`PRAGMA journal_mode = ${mode}; PRAGMA cache_size = 5; PRAGMA cache_spill = 1;
        BEGIN; UPDATE account SET balance = 0; UPDATE page SET content = randomblob(3900); SELECT 'written';\n`);
      for await (const line of writer.stdout) if (String(line).includes('written')) break;
      const source = sourceOf(farHost(local), { path, hold: 'none', attempts: 2 }, local);
      await expect(sqlite.capture(source)).rejects.toMatchObject({ code: 'source.busy' });
      writer.kill('SIGKILL');
      await once(writer, 'exit');
    },
  );
});
