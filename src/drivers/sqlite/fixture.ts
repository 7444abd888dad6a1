/**
 * The database the suite backs up: a bank, whose invariants a torn copy breaks even where `integrity_check` says ok.
 * Money moves between accounts, every transfer has a line in a ledger without gaps, and random pages change beside it.
 */
import { DatabaseSync } from 'node:sqlite';

export interface Bank {
  readonly path: string;
  readonly journal?: 'wal' | 'delete' | 'truncate' | 'persist';
  readonly pageBytes?: number;
  readonly accounts?: number;
  /** Rows of the table of large values, about 3900 bytes each. */
  readonly blobs?: number;
}

export function seedBank({ path, journal = 'wal', pageBytes = 4096, accounts = 200, blobs = 200 }: Bank): void {
  using db = new DatabaseSync(path);
  db.exec(`PRAGMA page_size = ${pageBytes}; PRAGMA journal_mode = ${journal}; PRAGMA synchronous = OFF`);
  db.exec(`BEGIN;
    CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);
    CREATE TABLE ledger (seq INTEGER PRIMARY KEY, debit INT, credit INT, amount INT);
    CREATE TABLE page (id INTEGER PRIMARY KEY, content BLOB);
    CREATE INDEX ledger_debit ON ledger (debit);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${accounts}) INSERT INTO account SELECT i, 1000 FROM n;
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${blobs}) INSERT INTO page SELECT i, randomblob(3900) FROM n;
    COMMIT`);
}

/** One committed transaction of `transfers` transfers. `random` gives numbers in [0, 1). */
export function transfer(db: DatabaseSync, transfers: number, random: () => number): void {
  const accounts = Number(db.prepare('SELECT max(id) AS n FROM account').get()?.n);
  const blobs = Number(db.prepare('SELECT max(id) AS n FROM page').get()?.n);
  const pay = db.prepare('UPDATE account SET balance = balance + ? WHERE id = ?');
  const note = db.prepare('INSERT INTO ledger SELECT coalesce(max(seq), 0) + 1, ?, ?, ? FROM ledger');
  const stir = db.prepare('UPDATE page SET content = randomblob(3900) WHERE id = ?');
  const pick = (count: number): number => 1 + Math.floor(random() * count);
  db.exec('BEGIN IMMEDIATE');
  for (let i = 0; i < transfers; i++) {
    const [debit, credit, amount] = [pick(accounts), pick(accounts), pick(50)];
    pay.run(-amount, debit);
    pay.run(amount, credit);
    note.run(debit, credit, amount);
    stir.run(pick(blobs));
  }
  db.exec('COMMIT');
}

/** What is wrong with a copy: an empty list means it is the bank at one moment between two transactions. */
export function bankFaults(path: string): string[] {
  using db = new DatabaseSync(`file://${encodeURI(path)}?immutable=1`, { readOnly: true });
  const value = (sql: string): unknown => Object.values(db.prepare(sql).get() ?? {})[0];
  const faults: string[] = [];
  const expect = (what: string, sql: string, wanted: unknown): void => {
    try {
      const found = value(sql);
      if (found !== wanted) faults.push(`${what}: ${String(found)}`);
    } catch (error) {
      faults.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  expect('integrity', 'PRAGMA integrity_check', 'ok');
  expect('total', 'SELECT sum(balance) - 1000 * count(*) FROM account', 0);
  expect('ledger gaps', 'SELECT count(*) - coalesce(max(seq), 0) FROM ledger', 0);
  expect(
    'accounts against ledger',
    `SELECT count(*) FROM account
      LEFT JOIN (SELECT credit, sum(amount) AS total FROM ledger GROUP BY credit) AS got ON got.credit = account.id
      LEFT JOIN (SELECT debit, sum(amount) AS total FROM ledger GROUP BY debit) AS gave ON gave.debit = account.id
      WHERE balance <> 1000 + coalesce(got.total, 0) - coalesce(gave.total, 0)`,
    0,
  );
  return faults;
}

/** Transfers a copy has seen. */
export function ledgerLength(path: string): number {
  using db = new DatabaseSync(`file://${encodeURI(path)}?immutable=1`, { readOnly: true });
  return Number(db.prepare('SELECT count(*) AS n FROM ledger').get()?.n);
}
