/** Runs a dump against a server. */
import { formatBytes } from '../../base/bytes.ts';
import { HoldfastError, messageOf, throwIfCancelled } from '../../base/errors.ts';
import type { SnapshotContents } from '../driver.ts';
import { type ParentOf, withParents } from './foreign-keys.ts';
import { prepareLoader } from './load-session.ts';
import { quoteName } from './names.ts';
import { readScript, type Section, type Statement } from './script.ts';
import { isServerError, oneRow, type Session } from './session.ts';

const mebibyte = 1024 * 1024;

export interface LoadRequest {
  readonly session: Session;
  readonly contents: SnapshotContents;
  /** Of the dump in the snapshot. */
  readonly path: string;
  /** The database to make; it must not be there. */
  readonly name: string;
  readonly signal: AbortSignal;
  /** Tables to leave out are not loaded. */
  readonly wants?: (table: string) => boolean;
  /** For tables that refer to others which lie elsewhere while they are loaded. */
  readonly parentOf?: ParentOf;
  /** How a table is defined here. */
  readonly defined?: (definition: string) => string;
  readonly progress?: (bytes: number) => void;
}

export interface Loaded {
  readonly bytes: number;
  readonly charset: string;
  readonly collation: string;
  readonly tables: readonly string[];
  /** Statements that make views, routines, triggers and events, with what they are under: to be run last. */
  readonly programs: readonly Statement[];
}

/** Makes the database with its tables and rows. Memory: a statement, and all definitions. `restore.failed` names what failed. */
export async function loadTables(request: LoadRequest): Promise<Loaded> {
  const { session, contents, path, name, signal, wants = () => true, progress } = request;
  let bytes = 0;
  let found: (Section & { kind: 'database' }) | undefined;
  const programs: Statement[] = [];
  const tables: string[] = [];
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of contents.read(path)) {
      bytes += chunk.byteLength;
      progress?.(bytes);
      yield chunk;
    }
  };
  const { most } = await oneRow(session, 'SELECT @@max_allowed_packet AS most');
  for await (const statement of readScript(counted())) {
    throwIfCancelled(signal);
    requireFits(session, statement, Number(most));
    const { section } = statement;
    if (section.kind === 'program') {
      programs.push(statement);
    } else if (section.kind === 'database') {
      if (found === undefined) await makeDatabase(session, name, section);
      found = section;
    } else if (!('name' in section) || wants(section.name)) {
      if (section.kind === 'table') tables.push(section.name);
      await runStatement(session, placed(statement, request));
    }
  }
  if (found === undefined) throw failure(`the dump ${path} names no database`);
  return { bytes, charset: found.charset, collation: found.collation, tables, programs };
}

/** A server ends the connection over a statement that is too long for it, mostly before it can say why. */
function requireFits(session: Session, { section, sql }: Statement, most: number): void {
  // A character has three bytes at most for each of its units.
  if (section.kind !== 'rows' || sql.length * 3 < most) return;
  const bytes = Buffer.byteLength(sql) + 1;
  if (bytes <= most) return;
  throw new HoldfastError({
    code: 'restore.failed',
    message: `the ${section.kind} of table ${section.name} could not be restored on ${session.place.title}: a row of it takes a statement of ${formatBytes(bytes)}, as bytes are written as hex, and max_allowed_packet there is ${formatBytes(most)}`,
    remedy: `Raise it on the server until the restore is done: SET GLOBAL max_allowed_packet = ${Math.ceil(bytes / mebibyte) * mebibyte}`,
  });
}

function placed(
  { section, sql }: Statement,
  { parentOf = () => undefined, defined = (definition) => definition }: LoadRequest,
): Statement {
  return { section, sql: section.kind === 'table' ? withParents(defined(sql), parentOf) : sql };
}

/** The programs of one database. */
export interface Programs {
  readonly database: string;
  readonly statements: readonly Statement[];
}

/**
 * Makes views, routines, triggers and events. Those that need others (a view of a view in another database) are tried
 * again while that gets any further. `restore.failed` naming the first that cannot be made.
 */
export async function makePrograms(session: Session, all: readonly Programs[]): Promise<void> {
  let waiting = all.flatMap(({ database, statements }) => grouped(statements).map((group) => ({ database, group })));
  for (;;) {
    const failed: { one: (typeof waiting)[number]; error: unknown }[] = [];
    for (const one of waiting) {
      await session.run(`USE ${quoteName(one.database)}`);
      const error = await makeProgram(session, one.group);
      if (error !== undefined) failed.push({ one, error });
    }
    if (failed.length === 0) return;
    if (failed.length === waiting.length) throw failed[0].error;
    waiting = failed.map(({ one }) => one);
  }
}

/** Statements of one program follow each other: its session, itself, and the session after it. */
function grouped(statements: readonly Statement[]): Statement[][] {
  const groups = new Map<Section, Statement[]>();
  for (const one of statements) groups.set(one.section, [...(groups.get(one.section) ?? []), one]);
  return [...groups.values()];
}

/** The session is put back also when the program could not be made. */
async function makeProgram(session: Session, group: readonly Statement[]): Promise<unknown> {
  let failed: unknown;
  for (const statement of group) {
    try {
      await runStatement(session, statement);
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      failed ??= error;
    }
  }
  return failed;
}

async function makeDatabase(session: Session, name: string, section: Section & { kind: 'database' }): Promise<void> {
  const { charset, collation } = section;
  await prepareLoader(session);
  const sql = `CREATE DATABASE ${quoteName(name)} DEFAULT CHARACTER SET ${charset} COLLATE ${collation}`;
  await runStatement(session, { section, sql });
  await runStatement(session, { section, sql: `USE ${quoteName(name)}` });
}

/** `restore.failed` naming the thing. */
export async function runStatement(session: Session, { section, sql }: Statement): Promise<void> {
  try {
    await session.run(sql);
  } catch (error) {
    if (!isServerError(error)) throw error;
    throw failure(`${titleOf(section)} could not be restored on ${session.place.title}: ${messageOf(error)}`, error);
  }
}

function titleOf(section: Section): string {
  if (section.kind === 'program') return `the ${section.program} ${section.name}`;
  if ('name' in section) return `the ${section.kind === 'rows' ? 'rows of table' : section.kind} ${section.name}`;
  const isAccount = section.kind === 'accounts' || section.kind === 'grants';
  return isAccount ? 'an account or grant' : 'the session of the restore';
}

function failure(message: string, cause?: unknown): HoldfastError {
  const number = isServerError(cause) ? cause.errno : 0;
  const remedies: Record<number, string> = {
    1153: 'Raise max_allowed_packet of the server: a row is larger than it takes.',
    1044: 'Grant the user what docs/drivers lists for restores.',
    1227: 'Grant the user what docs/drivers lists for restores.',
    1142: 'Grant the user what docs/drivers lists for restores.',
    1114: 'Make room on the disk of the server.',
    1021: 'Make room on the disk of the server.',
    1273: 'Restore to a server of the same series or newer: this one does not know the collation.',
  };
  return new HoldfastError({
    code: 'restore.failed',
    message,
    remedy: remedies[number] ?? 'Restore to a server of the same product and of the same version or newer.',
    cause,
  });
}
