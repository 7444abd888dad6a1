/** What a drill compares: definitions, counts and digests, gathered while the rows pass, and read again from a copy. */
import { createHash } from 'node:crypto';
import { type Check, compareFacts, type Fact, type Fingerprint } from '../../model/fingerprint.ts';
import { type Database, type Program, readDatabase, type Table, withoutCounter } from './catalog.ts';
import { withoutDirectories } from './directories.ts';
import { explainRefusal } from './failures.ts';
import { quoteName } from './names.ts';
import { selectRows } from './read-rows.ts';
import { RowDigest } from './row-digest.ts';
import { oneRow, type Session } from './session.ts';
import type { Settings } from './settings.ts';

export type Level = Exclude<Settings['fingerprint'], 'off'>;

/** Change one when what is measured changes: facts of different algorithms are not compared. */
export const algorithms: Readonly<Record<Level, string>> = { full: 'mysql-rows-1', counts: 'mysql-counts-1' };

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Facts about everything but rows. */
export function definitionFacts(database: Database): Fact[] {
  const { name, charset, collation } = database;
  return [
    { subject: `database ${name}`, measure: 'charset', value: `${charset} ${collation}` },
    ...database.tables.map((table) => ({
      subject: subjectOf(name, table),
      measure: 'definition',
      value: sha256(withoutDirectories(withoutCounter(table.definition))),
    })),
    ...database.programs.map((program) => ({
      subject: `${program.kind} ${name}.${program.name}`,
      measure: 'definition',
      value: sha256(meaning(program)),
    })),
  ];
}

/** The text with what it was created under. */
function meaning({ definition, sqlMode = '', collation = '', timeZone = '', madeIn }: Program): string {
  const parts = [definition, sqlMode.split(',').toSorted(), collation, timeZone];
  return JSON.stringify(madeIn ? [...parts, madeIn.collation] : parts);
}

export function subjectOf(database: string, { kind, name }: Table): string {
  return `${kind} ${database}.${name}`;
}

export function rowFacts(subject: string, digest: { rows: number; hex(): string }, level: Level): Fact[] {
  const rows = { subject, measure: 'rows', value: String(digest.rows) };
  return level === 'counts' ? [rows] : [rows, { subject, measure: 'checksum', value: digest.hex() }];
}

/** Where a sequence goes on: the next value, and the rounds it went. */
export interface SequenceState {
  readonly next: string;
  readonly round: string;
}

export async function sequenceState(session: Session, database: string, name: string): Promise<SequenceState> {
  const row = await oneRow(
    session,
    `SELECT next_not_cached_value AS next, cycle_count AS round FROM ${quoteName(database)}.${quoteName(name)}`,
  );
  return { next: row.next ?? '', round: row.round ?? '' };
}

export function sequenceFact(database: string, table: Table, { next, round }: SequenceState): Fact {
  return { subject: subjectOf(database, table), measure: 'state', value: `${next} ${round}` };
}

/** Reads the facts of a copy and compares them with those of the backup. */
export async function compareCopy(
  session: Session,
  expected: Fingerprint,
  names: readonly string[],
  settings: Settings,
): Promise<Check[]> {
  const level = (['full', 'counts'] as const).find((one) => algorithms[one] === expected.algorithm);
  if (level === undefined) return [unknownAlgorithm(expected)];
  const facts: Fact[] = [];
  const withRows = new Set(expected.facts.filter(({ measure }) => measure === 'rows').map(({ subject }) => subject));
  for (const name of names) facts.push(...(await copyFacts(session, name, { settings, level, withRows })));
  return compareFacts(expected.facts, facts);
}

interface Comparison {
  readonly settings: Settings;
  readonly level: Level;
  /** Subjects of the tables whose rows are in the snapshot; the settings may have changed since. */
  readonly withRows: ReadonlySet<string>;
}

async function copyFacts(session: Session, name: string, { settings, level, withRows }: Comparison): Promise<Fact[]> {
  // What was left out of the snapshot is not in the copy; what is in the copy is all compared.
  const database = await readDatabase(session, name, { ...settings, excludeTables: [], excludeTableData: [] });
  const facts = definitionFacts(database);
  for (const table of database.tables) {
    if (table.kind === 'table' && !withRows.has(subjectOf(name, table))) continue;
    try {
      facts.push(...(await tableFacts(session, name, table, level)));
    } catch (error) {
      throw explainRefusal(error, session.place, `table ${name}.${table.name}`);
    }
  }
  return facts;
}

async function tableFacts(session: Session, database: string, table: Table, level: Level): Promise<Fact[]> {
  if (table.kind === 'sequence') {
    return [sequenceFact(database, table, await sequenceState(session, database, table.name))];
  }
  if (level === 'counts') {
    const { count } = await oneRow(
      session,
      `SELECT COUNT(*) AS count FROM ${quoteName(database)}.${quoteName(table.name)}`,
    );
    return [{ subject: subjectOf(database, table), measure: 'rows', value: count ?? '' }];
  }
  const digest = new RowDigest();
  await session.run('SET SESSION character_set_results = NULL');
  await session.raw(selectRows(database, table), (rows, count) => digest.take(rows, count));
  await session.run('SET SESSION character_set_results = utf8mb4');
  return rowFacts(subjectOf(database, table), digest, level);
}

function unknownAlgorithm(expected: Fingerprint): Check {
  const known = Object.values(algorithms).join(' or ');
  return { subject: 'fingerprint', measure: 'algorithm', expected: expected.algorithm, found: known, ok: false };
}
