/**
 * Long torture of the SQLite copies. COPIES (default 5) copies for each kind of writer. Prints what it did, so that a quiet
 * run (nothing laid over, no commits) is seen.
 */
import { statSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { bankFaults } from '../../src/drivers/sqlite/fixture.ts';
import { backUp, playground, sourceOf, startWriter } from '../../src/drivers/sqlite/fixture-run.ts';
import { type Torture, torture, unlockedCopy } from '../../src/drivers/sqlite/fixture-torture.ts';
import { localHost } from '../../src/hosts/local/index.ts';

const copies = Number(process.env.COPIES ?? 5);
/** Writers at full speed on a busy machine: up to half a minute a copy. */
const timeout = 300_000 + copies * 30_000;
const host = localHost();
const every = ['PASSIVE', 'FULL', 'RESTART', 'TRUNCATE'] as const;

const plans: Record<string, Omit<Torture, 'copies'>> = {
  'one writer, small transactions, default checkpoints': {
    journal: 'wal',
    blobs: 3000,
    writers: [{ perSecond: 0, transfers: 1, synchronous: 'OFF' }],
  },
  'one writer, large transactions, every checkpoint': {
    journal: 'wal',
    blobs: 3000,
    writers: [{ perSecond: 0, transfers: 400, checkpoints: every, autocheckpoint: 100, synchronous: 'OFF' }],
  },
  'three writers, every checkpoint, tiny pages': {
    journal: 'wal',
    pageBytes: 512,
    blobs: 1000,
    writers: [
      { perSecond: 0, transfers: 3, checkpoints: every, autocheckpoint: 20, synchronous: 'OFF' },
      { perSecond: 0, transfers: 50, checkpoints: ['RESTART', 'TRUNCATE'], synchronous: 'OFF' },
      { perSecond: 300, transfers: 1, synchronous: 'OFF' },
    ],
  },
  'largest pages': {
    journal: 'wal',
    pageBytes: 65536,
    blobs: 2000,
    writers: [{ perSecond: 0, transfers: 5, checkpoints: every, autocheckpoint: 30, synchronous: 'OFF' }],
  },
  'rollback journal': {
    journal: 'delete',
    blobs: 3000,
    writers: [{ perSecond: 200, transfers: 5, synchronous: 'OFF' }],
  },
  'truncated journal': {
    journal: 'truncate',
    blobs: 3000,
    writers: [{ perSecond: 0, transfers: 20, synchronous: 'OFF' }],
  },
};

describe.each(Object.entries(plans))('%s', (name, plan) => {
  test('every copy is one moment of the bank', { timeout }, async () => {
    const report = await torture(host, { ...plan, copies });
    console.log(name, JSON.stringify(report));
    expect(report.bad).toEqual([]);
    expect(report.copies).toBeGreaterThan(0);
    expect(report.commits).toBeGreaterThan(copies);
  });
});

test('control: a copy without a lock is torn, and the bank notices', { timeout }, async () => {
  const plan = plans['one writer, large transactions, every checkpoint'];
  const report = await torture(host, { ...plan, copies: 200, untilBad: true, copy: unlockedCopy });
  console.log('control: the first torn copy was number', report.copies, '-', report.bad.join(), report.badButIntact);
  expect(report.bad.length).toBeGreaterThan(0);
});

test('a database beyond 1 GiB, with its page of lock bytes, is copied while it is written', async () => {
  using place = playground();
  const path = place.path('big.db');
  {
    using db = new DatabaseSync(path);
    db.exec(`PRAGMA journal_mode = wal; PRAGMA synchronous = OFF;
      CREATE TABLE account (id INTEGER PRIMARY KEY, balance INT); INSERT INTO account VALUES (1, 1000), (2, 1000);
      CREATE TABLE ledger (seq INTEGER PRIMARY KEY, debit INT, credit INT, amount INT);
      CREATE TABLE page (id INTEGER PRIMARY KEY, content BLOB)`);
    const add = db.prepare('INSERT INTO page (content) VALUES (zeroblob(16777216))');
    for (let i = 0; i < 70; i++) add.run();
  }
  const writer = await startWriter({ path, perSecond: 100 });
  await backUp(sourceOf(host, { path }), place.path('copy.db'));
  await writer.stop();
  expect(statSync(place.path('copy.db')).size).toBeGreaterThan(1 << 30);
  expect(bankFaults(place.path('copy.db'))).toEqual([]);
});
