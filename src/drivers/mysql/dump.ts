/**
 * One database as SQL, read in the snapshot its session holds. Rows are in primary-key order, one a line; a statement ends
 * where the content says so, so that a row that changes leaves the rest of the dump byte for byte as it was.
 */
import { HoldfastError } from '../../base/errors.ts';
import { freeMemory } from '../../base/free-memory.ts';
import type { Fact } from '../../model/fingerprint.ts';
import { type Database, type Program, type Table, withoutCounter } from './catalog.ts';
import { explainRefusal } from './failures.ts';
import { definitionFacts, type Level, rowFacts, sequenceFact, sequenceState, subjectOf } from './fingerprint.ts';
import { loadSession } from './load-session.ts';
import { quoteName } from './names.ts';
import { programStatements } from './programs.ts';
import { readColumns, selectRows } from './read-rows.ts';
import { RowDigest } from './row-digest.ts';
import { sectionText, statementText } from './script.ts';
import { oneRow, type Session } from './session.ts';
import { StatementWriter } from './statement-writer.ts';

/** Pieces gathered before the server has to wait. */
const mostPieces = 8;

export interface DumpRequest {
  readonly session: Session;
  readonly database: Database;
  /** For the first line. */
  readonly title: string;
  readonly level: Level;
  /** Given each fact as it is known. */
  readonly fact: (fact: Fact) => void;
  /** Called when a table's rows were read. */
  readonly tableRead: (table: Table) => Promise<void>;
}

/** Memory: 7 MB and a few pieces of 256 KiB, or one row doubled. `source.changed` if a definition is not what it was. */
export async function* dumpDatabase(request: DumpRequest): AsyncGenerator<Uint8Array> {
  const { database, session, title, fact } = request;
  for (const one of definitionFacts(database)) fact(one);
  yield utf8(opening(database, title));
  for (const table of database.tables) {
    try {
      await session.run('SAVEPOINT holdfast');
      yield* dumpTable(request, table);
      // Lets go of the table, so that nobody who alters it waits for the rest of the dump; the snapshot stays.
      await session.run('ROLLBACK TO SAVEPOINT holdfast');
    } catch (error) {
      throw explainRefusal(error, session.place, `table ${database.name}.${table.name}`);
    }
    await request.tableRead(table);
  }
  for (const program of database.programs) yield utf8(programText(program));
  yield utf8(`${sectionText({ kind: 'end' })}-- that is all\n`);
}

function utf8(text: string): Buffer {
  return Buffer.from(text, 'utf8');
}

function opening({ name, charset, collation }: Database, title: string): string {
  const quoted = quoteName(name);
  return [
    `-- database ${JSON.stringify(name)} of ${title}`,
    '-- load it with: mariadb --default-character-set=utf8mb4 --comments < FILE (or mysql)',
    ...[sectionText({ kind: 'session' }) + loadSession.map(statementText).join('').trimEnd()],
    sectionText({ kind: 'database', name, charset, collation }) +
      statementText(`CREATE DATABASE IF NOT EXISTS ${quoted} DEFAULT CHARACTER SET ${charset} COLLATE ${collation}`) +
      statementText(`USE ${quoted}`),
  ].join('\n');
}

async function* dumpTable(request: DumpRequest, table: Table): AsyncGenerator<Uint8Array> {
  const { database, session, fact } = request;
  if (table.kind === 'sequence') {
    const state = await sequenceState(session, database.name, table.name);
    fact(sequenceFact(database.name, table, state));
    yield utf8(sectionText({ kind: 'sequence', name: table.name }) + statementText(table.definition));
    yield utf8(statementText(`DO SETVAL(${quoteName(table.name)}, ${state.next}, 0, ${state.round})`));
    return;
  }
  yield utf8(sectionText({ kind: 'table', name: table.name }) + statementText(table.definition));
  if (table.withRows) yield* dumpRows(request, table);
  await requireUnchanged(request, table);
}

/** The rows are read and the table is still held: what it looks like now is what it looked like then. */
async function requireUnchanged({ session, database }: DumpRequest, table: Table): Promise<void> {
  const row = await oneRow(session, `SHOW CREATE TABLE ${quoteName(database.name)}.${quoteName(table.name)}`);
  if (withoutCounter(row['Create Table'] ?? '') === withoutCounter(table.definition)) return;
  throw definitionChanged(`table ${database.name}.${table.name}`);
}

export function definitionChanged(what: string): HoldfastError {
  return new HoldfastError({
    code: 'source.changed',
    message: `the definition of the ${what} changed during the backup`,
    remedy: 'Run the backup again while no definitions change; tables that come and go belong under excludeTables.',
    retry: 'later',
  });
}

async function* dumpRows(request: DumpRequest, table: Table): AsyncGenerator<Uint8Array> {
  const { session, database, level, fact } = request;
  const columns = readColumns(table);
  using writer = new StatementWriter(table.name, columns);
  const digest = new RowDigest();
  yield utf8(sectionText({ kind: 'rows', name: table.name }));
  await session.run('SET SESSION character_set_results = NULL');
  yield* flow(session, selectRows(database.name, table), writer, (rows, count) => {
    if (level === 'full') digest.take(rows, count);
    else digest.count(count);
  });
  await session.run('SET SESSION character_set_results = utf8mb4');
  for (const one of rowFacts(subjectOf(database.name, table), digest, level)) fact(one);
}

/** Pieces as they are gathered, each valid until the next is asked for; the server waits while nobody takes them. */
async function* flow(
  session: Session,
  sql: string,
  writer: StatementWriter,
  digest: (rows: Buffer, count: number) => void,
): AsyncGenerator<Uint8Array> {
  let wake = (): void => {};
  let ended = false;
  const reading = session
    .raw(sql, (rows, count) => {
      digest(rows, count);
      writer.take(rows);
      if (writer.pieces.length >= mostPieces) session.pause();
      if (writer.pieces.length > 0) wake();
    })
    .finally(() => {
      ended = true;
      wake();
    });
  reading.catch(() => {}); // awaited below, unless the reader leaves
  while (!ended) {
    while (writer.pieces.length > 0) {
      const piece = writer.pieces.shift()!;
      yield piece;
      freeMemory(piece);
      if (writer.pieces.length === 0) session.resume();
    }
    if (ended) break;
    await new Promise<void>((resolve) => {
      wake = resolve;
      if (ended || writer.pieces.length > 0) resolve();
    });
  }
  await reading;
  writer.end();
  yield* writer.pieces.splice(0);
}

function programText(program: Program): string {
  const section = sectionText({ kind: 'program', program: program.kind, name: program.name });
  return [section, ...programStatements(program).map(statementText)].join('');
}
