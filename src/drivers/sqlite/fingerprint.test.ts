import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Fact } from '../../model/fingerprint.ts';
import { takeFacts } from './fingerprint.ts';
import type { FingerprintLevel } from './messages.ts';

let db: DatabaseSync;
beforeEach(() => {
  db = new DatabaseSync(':memory:', { defensive: false });
});
afterEach(() => db.close());

async function factsOf(sql: string, level: FingerprintLevel = 'full'): Promise<readonly Fact[]> {
  using fresh = new DatabaseSync(':memory:');
  fresh.exec(sql);
  return (await takeFacts(fresh, level, async () => {})).facts;
}
async function checksum(sql: string, table = 't'): Promise<string> {
  const facts = await factsOf(sql);
  return facts.find((fact) => fact.subject === `table ${table}` && fact.measure === 'checksum')?.value ?? 'none';
}

test('values that look alike but differ in type, sign of zero or length differ in the digest', async () => {
  const values = [
    '1',
    '1.0',
    `'1'`,
    `x'31'`,
    'NULL',
    `''`,
    `x''`,
    '0',
    '0.0',
    `'1' || char(0)`,
    '9007199254740993',
    '9007199254740992',
    '-1',
    '1e999',
    `'é'`,
  ];
  const digests = await Promise.all(
    values.map((value) => checksum(`CREATE TABLE t (x); INSERT INTO t VALUES (${value})`)),
  );
  expect(new Set(digests).size).toBe(values.length);
});

test('where a value ends and the next begins is part of the digest', async () => {
  const a = await checksum(`CREATE TABLE t (x, y); INSERT INTO t VALUES ('ab', 'c')`);
  const b = await checksum(`CREATE TABLE t (x, y); INSERT INTO t VALUES ('a', 'bc')`);
  expect(a).not.toBe(b);
});

test('text that is no valid UTF-8 is told apart byte by byte', async () => {
  const digests = await Promise.all(
    [`x'ff'`, `x'fe'`, `x'efbfbd'`].map((raw) =>
      checksum(`CREATE TABLE t (x); INSERT INTO t VALUES (CAST(${raw} AS TEXT))`),
    ),
  );
  expect(new Set(digests).size).toBe(3);
});

test('the digest does not depend on indexes, and rows are read in key order', async () => {
  const rows = `INSERT INTO t VALUES (3, 'c'), (1, 'a'), (2, 'b')`;
  expect(await checksum(`CREATE TABLE t (id INTEGER PRIMARY KEY, x); CREATE INDEX i ON t (x, id); ${rows}`)).toBe(
    await checksum(`CREATE TABLE t (id INTEGER PRIMARY KEY, x); ${rows}`),
  );
});

test('tables without rowid, hostile names, shadowed rowids and generated columns are covered', async () => {
  const facts = await factsOf(`
    CREATE TABLE "a""b'; DROP TABLE x;--" ("select" INT, "c""d" TEXT);
    INSERT INTO "a""b'; DROP TABLE x;--" VALUES (1, 'x');
    CREATE TABLE keyed (b TEXT, a INT, c, PRIMARY KEY (a, b)) WITHOUT ROWID;
    INSERT INTO keyed VALUES ('x', 2, NULL), ('y', 1, 2.5);
    CREATE TABLE shadowed (rowid TEXT, _rowid_ TEXT, oid TEXT);
    INSERT INTO shadowed VALUES ('p', 'q', 'r');
    CREATE TABLE made (a INT, b INT GENERATED ALWAYS AS (a * 2) VIRTUAL, c INT GENERATED ALWAYS AS (a * 3) STORED);
    INSERT INTO made (a) VALUES (5);
    CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO counted DEFAULT VALUES;
    CREATE VIEW seen AS SELECT * FROM made;`);
  const rows = facts.filter((fact) => fact.measure === 'rows').map(({ subject, value }) => [subject, value]);
  expect(rows).toEqual([
    [`table a"b'; DROP TABLE x;--`, '1'],
    ['table counted', '1'],
    ['table keyed', '2'],
    ['table made', '1'],
    ['table shadowed', '1'],
    ['table sqlite_sequence', '1'],
  ]);
  expect(facts.filter((fact) => fact.measure === 'checksum')).toHaveLength(7);
});

test('full-text tables are covered through their shadow tables', async () => {
  const facts = await factsOf(`CREATE VIRTUAL TABLE doc USING fts5(body); INSERT INTO doc VALUES ('hello')`);
  const subjects = facts.filter((fact) => fact.measure === 'checksum').map((fact) => fact.subject);
  expect(subjects).toContain('table doc_content');
  expect(subjects).not.toContain('table doc');
});

test('a table that needs code of its program is named as a gap, not passed over', async () => {
  db.exec(`CREATE TABLE t (k TEXT PRIMARY KEY) WITHOUT ROWID; INSERT INTO t VALUES ('x'); PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = 'CREATE TABLE t (k TEXT PRIMARY KEY COLLATE klingon) WITHOUT ROWID'; PRAGMA writable_schema = RESET`);
  const { gaps, facts } = await takeFacts(db, 'full', async () => {});
  expect(gaps).toEqual([expect.stringContaining('table t could not be read')]);
  expect(facts.filter((fact) => fact.subject === 'table t')).toEqual([]);
});

test('a change of one bit, one row, one definition or one pragma is seen', async () => {
  const base = `CREATE TABLE t (x); INSERT INTO t VALUES (x'00'), (2)`;
  const variants = [
    base,
    `CREATE TABLE t (x); INSERT INTO t VALUES (x'01'), (2)`,
    `${base}, (3)`,
    `CREATE TABLE t (x ); INSERT INTO t VALUES (x'00'), (2)`,
    `${base}; PRAGMA user_version = 7`,
    `${base}; PRAGMA application_id = 7`,
    `PRAGMA encoding = 'UTF-16le'; ${base}`,
  ];
  const seen = await Promise.all(variants.map(async (sql) => JSON.stringify(await factsOf(sql))));
  expect(new Set(seen).size).toBe(variants.length);
});

test('counts say rows and definitions, not content', async () => {
  const facts = await factsOf('CREATE TABLE t (x); INSERT INTO t VALUES (1)', 'counts');
  expect(facts.filter((fact) => fact.subject === 'table t')).toEqual([
    { subject: 'table t', measure: 'rows', value: '1' },
  ]);
});

test('long texts and blobs of every size around the staging buffer are digested alike in one piece or many', async () => {
  for (const size of [4095, 4096, 4097, 87_000, 262_144, 300_000]) {
    const one = await checksum(
      `CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(${size})), (printf('%.*c', ${size}, 'x'))`,
    );
    const other = await checksum(
      `CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(${size + 1})), (printf('%.*c', ${size}, 'x'))`,
    );
    expect(one).not.toBe(other);
  }
});
