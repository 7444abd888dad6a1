/**
 * What a drill compares: facts of a database, read through SQLite in one read transaction. Runs in the holder process, so
 * that it sees the held state; and over a restored copy, with the same code.
 */
import type { DatabaseSync } from 'node:sqlite';
import { messageOf } from '../../base/errors.ts';
import type { Fact } from '../../model/fingerprint.ts';
import type { Fingerprinted, FingerprintLevel } from './messages.ts';
import { RowDigest, type SqlValue } from './row-digest.ts';

/** Facts of different algorithms are not compared. */
export const algorithms = { full: 'sqlite-rows-1', counts: 'sqlite-counts-1' } as const;

/** Rows between two looks at the event loop: a dead parent must be noticed within milliseconds. */
const rowsPerTurn = 2000;

interface Table {
  readonly name: string;
  /** In b-tree order; generated columns that are not stored are left out: they follow from the others. */
  readonly columns: readonly string[];
  /** What sorts the b-tree: rowid by a name no column shadows, or the primary key; empty if there is no such name. */
  readonly order: readonly string[];
  /** The rowid's name, if it is reachable: it is content too (FTS and foreign tables point at it). */
  readonly rowid?: string;
}

/**
 * Takes the facts: schema objects and their definitions, user_version, application_id, encoding, exact rows of every table
 * that has a b-tree (shadow tables of virtual tables included), and with `full` a digest of every value.
 * Integrity is expected, not measured: a drill measures it on the copy. Memory: one row, and 256 KiB.
 * `turn` is awaited every few thousand rows.
 */
export async function takeFacts(
  db: DatabaseSync,
  level: FingerprintLevel,
  turn: () => Promise<void>,
): Promise<Fingerprinted> {
  const facts: Fact[] = [
    ...databaseFacts(db),
    { subject: 'database', measure: 'integrity', value: 'ok' },
    ...schemaFacts(db),
  ];
  const gaps: string[] = [];
  let rows = 0;
  for (const name of level === 'off' ? [] : tableNames(db)) {
    const subject = `table ${name}`;
    try {
      const table = describeTable(db, name);
      const found = level === 'full' ? await digestTable(db, table, turn) : { rows: countRows(db, name) };
      rows += found.rows;
      facts.push({ subject, measure: 'rows', value: String(found.rows) });
      if ('digest' in found) facts.push({ subject, measure: 'checksum', value: found.digest });
    } catch (error) {
      if (!needsForeignCode(error)) throw error;
      gaps.push(`${subject} could not be read without the program it belongs to: ${messageOf(error)}`);
    }
    await turn();
  }
  return { facts, gaps, rows };
}

function databaseFacts(db: DatabaseSync): Fact[] {
  return ['user_version', 'application_id', 'encoding'].map((measure) => ({
    subject: 'database',
    measure,
    value: String(single(db, `PRAGMA ${measure}`)),
  }));
}

function schemaFacts(db: DatabaseSync): Fact[] {
  const digest = new RowDigest();
  let objects = 0;
  const sql = 'SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name, tbl_name';
  for (const row of rowsOf(db, sql)) {
    digest.row(row);
    objects++;
  }
  return [
    { subject: 'schema', measure: 'objects', value: String(objects) },
    { subject: 'schema', measure: 'checksum', value: digest.hex() },
  ];
}

/** Tables with a b-tree of their own: not views, and not virtual tables, whose content lies in their shadow tables. */
function tableNames(db: DatabaseSync): string[] {
  const sql = `SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY name`;
  return [...rowsOf(db, sql)].map(([name]) => String(name));
}

function describeTable(db: DatabaseSync, name: string): Table {
  const columns: { name: string; key: number }[] = [];
  const taken = new Set<string>();
  for (const [, column, , , , key, hidden] of rowsOf(db, `PRAGMA main.table_xinfo(${quote(name)})`)) {
    taken.add(String(column).toLowerCase());
    const virtualGenerated = hidden === 2n;
    if (!virtualGenerated) columns.push({ name: String(column), key: Number(key) });
  }
  const names = columns.map((column) => column.name);
  if (isWithoutRowid(db, name)) {
    const key = columns.filter((column) => column.key > 0).sort((a, b) => a.key - b.key);
    return { name, columns: names, order: key.map((column) => column.name) };
  }
  const rowid = ['rowid', '_rowid_', 'oid'].find((alias) => !taken.has(alias));
  return { name, columns: names, order: rowid === undefined ? [] : [rowid], rowid };
}

function isWithoutRowid(db: DatabaseSync, name: string): boolean {
  for (const [schema, table, , , withoutRowid] of rowsOf(db, `PRAGMA main.table_list(${quote(name)})`)) {
    if (schema === 'main' && table === name) return withoutRowid === 1n;
  }
  return false;
}

function countRows(db: DatabaseSync, name: string): number {
  return Number(single(db, `SELECT count(*) FROM main.${quote(name)}`));
}

/** NOT INDEXED keeps SQLite from answering out of a covering index, in that index's order. */
function selectOf(table: Table, values: readonly string[]): string {
  const order = table.order.length === 0 ? '' : ` ORDER BY ${table.order.map(quote).join(', ')}`;
  return `SELECT ${values.join(', ')} FROM main.${quote(table.name)} NOT INDEXED${order}`;
}

async function digestTable(
  db: DatabaseSync,
  table: Table,
  turn: () => Promise<void>,
): Promise<{ rows: number; digest: string }> {
  const columns = [...(table.rowid === undefined ? [] : [table.rowid]), ...table.columns].map(quote);
  const digest = new RowDigest();
  let rows = 0;
  for (const row of rowsOf(db, selectOf(table, columns))) {
    digest.row(row);
    if (++rows % rowsPerTurn === 0) await turn();
    if (digest.mayBeBroken) return await digestByBytes(db, table, columns, turn);
  }
  return { rows, digest: digest.hex() };
}

/** Slower, and exact for text that is not valid in the database's encoding. */
async function digestByBytes(db: DatabaseSync, table: Table, columns: readonly string[], turn: () => Promise<void>) {
  const types = columns.map((column) => `typeof(${column})`);
  const values = columns.map((c) => `CASE WHEN typeof(${c}) = 'text' THEN CAST(${c} AS BLOB) ELSE ${c} END`);
  const digest = new RowDigest();
  let rows = 0;
  for (const row of rowsOf(db, selectOf(table, [...types, ...values]))) {
    digest.typedRow(row.slice(0, columns.length), row.slice(columns.length));
    if (++rows % rowsPerTurn === 0) await turn();
  }
  return { rows, digest: digest.hex() };
}

function single(db: DatabaseSync, sql: string): SqlValue {
  for (const [value] of rowsOf(db, sql)) return value;
  return null;
}

function rowsOf(db: DatabaseSync, sql: string): Iterable<SqlValue[]> {
  const statement = db.prepare(sql);
  statement.setReturnArrays(true);
  statement.setReadBigInts(true);
  return statement.iterate() as unknown as Iterable<SqlValue[]>;
}

/** Doubled quotes are the whole of SQLite's identifier quoting; a name may hold anything but NUL. */
function quote(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

/** A collation, function or module of the application: SQL over that table needs it, its pages do not. */
function needsForeignCode(error: unknown): boolean {
  return /no such (collation sequence|function|module|tokenizer)|unknown tokenizer/.test(messageOf(error));
}
