/**
 * Puts loaded tables in the place of present ones: one RENAME TABLE, which a server does wholly or not at all. What was
 * there goes to a database of its own, with its views, routines and triggers made again there; if anything fails, it
 * comes back.
 */
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { type Database, type Program, readDatabase } from './catalog.ts';
import { explainRefusal } from './failures.ts';
import { type Loaded, makePrograms } from './load.ts';
import { quoteName, quoteText } from './names.ts';
import { dropProgram, listPrograms, remake } from './programs.ts';
import { oneRow, type Session } from './session.ts';
import type { Settings } from './settings.ts';

export interface SwapRequest {
  /** A connection that nothing cancels, told what a dump is loaded under. */
  readonly open: () => Promise<Session>;
  readonly settings: Settings;
  /** The database that gets the tables. */
  readonly target: string;
  /** Where they were loaded; it is gone afterwards. */
  readonly staging: string;
  /** For what is present. */
  readonly aside: string;
  /** The present tables are dropped in the end instead of kept in `aside`. */
  readonly overwrite: boolean;
  /** False if only some tables are restored: the others stay, with everything else. */
  readonly whole: boolean;
  readonly loaded: Loaded;
}

/** What has been done so far. */
interface Done {
  present: Database | undefined;
  madeTarget: boolean;
  madeAside: boolean;
  dropped: readonly Program[];
  moved: boolean;
}

/**
 * `restore.failed`, `restore.target-invalid`; the target is as it was then. Gives problems with what was kept aside. It is
 * short, and is not cancelled half-way.
 */
export async function swap(request: SwapRequest): Promise<string[]> {
  const { open, aside, staging, overwrite, whole } = request;
  const done: Done = { present: undefined, madeTarget: false, madeAside: false, dropped: [], moved: false };
  await using session = await open();
  const arrived = await tableNames(session, staging);
  try {
    await exchange(session, request, arrived, done);
  } catch (error) {
    await undo(request, arrived, done, error);
    throw error;
  }
  await session.run(`DROP DATABASE ${quoteName(staging)}`);
  if (!done.madeAside) return [];
  if (!overwrite) return whole ? await keepPrograms(session, aside, done.dropped) : [];
  await session.run(`DROP DATABASE ${quoteName(aside)}`);
  return [];
}

async function exchange(session: Session, request: SwapRequest, arrived: readonly string[], done: Done): Promise<void> {
  const { settings, target, staging, aside, whole, loaded } = request;
  if (await databaseExists(session, target)) {
    done.present = await readDatabase(session, target, { ...settings, excludeTables: [], excludeTableData: [] });
  } else {
    await session.run(`CREATE DATABASE ${quoteName(target)} ${charsetOf(loaded)}`);
    done.madeTarget = true;
  }
  const { tables = [], programs = [] } = done.present ?? {};
  const leaving = tables.map(({ name }) => name).filter((name) => whole || arrived.includes(name));
  const inTheWay = programs.filter(({ table }) => whole || (table !== undefined && leaving.includes(table)));
  await refuseReferences(session, target, leaving);
  if (done.present && leaving.length + inTheWay.length > 0) {
    await session.run(`CREATE DATABASE ${quoteName(aside)} ${charsetOf(done.present)}`);
    done.madeAside = true;
  }
  done.dropped = inTheWay;
  for (const one of inTheWay) await dropProgram(session, target, one);
  await rename(session, [...moves(target, aside, leaving), ...moves(staging, target, arrived)]);
  done.moved = true;
  if (!whole) return await remake(session, target, inTheWay);
  if (done.present) await session.run(`ALTER DATABASE ${quoteName(target)} ${charsetOf(loaded)}`);
  await makePrograms(session, [{ database: target, statements: loaded.programs }]);
}

function charsetOf({ charset, collation }: { readonly charset: string; readonly collation: string }): string {
  return `DEFAULT CHARACTER SET ${charset} COLLATE ${collation}`;
}

/** With a connection of its own: the other may be what broke. What cannot be undone is told with where the data is. */
async function undo(request: SwapRequest, arrived: readonly string[], done: Done, cause: unknown): Promise<void> {
  const { open, target, aside, staging } = request;
  try {
    await using session = await open();
    if (done.moved) await moveBack(session, request, arrived, done);
    // Those that were dropped before it failed, and those that were not.
    for (const one of done.dropped) await dropProgram(session, target, one);
    await remake(session, target, done.dropped);
    if (done.madeAside) await session.run(`DROP DATABASE ${quoteName(aside)}`);
    if (done.madeTarget) await session.run(`DROP DATABASE ${quoteName(target)}`);
  } catch (error) {
    throw new HoldfastError({
      code: 'restore.failed',
      message: `the restore of ${target} failed (${messageOf(cause)}), and so did putting back what was there: ${messageOf(error)}`,
      remedy: `The tables that were there are in ${target} or in ${aside}, those of the snapshot in ${staging} or ${target}. Move them with RENAME TABLE.`,
      cause: error,
    });
  }
}

async function moveBack(
  session: Session,
  { target, aside, staging, whole }: SwapRequest,
  arrived: readonly string[],
  { present, madeAside }: Done,
): Promise<void> {
  for (const one of await listPrograms(session, target)) {
    if (whole || one.kind === 'trigger') await dropProgram(session, target, one);
  }
  const kept = madeAside ? await tableNames(session, aside) : [];
  await rename(session, [...moves(target, staging, arrived), ...moves(aside, target, kept)]);
  if (present) await session.run(`ALTER DATABASE ${quoteName(target)} ${charsetOf(present)}`);
}

async function rename(session: Session, pairs: readonly string[]): Promise<void> {
  if (pairs.length > 0) await session.run(`RENAME TABLE ${pairs.join(', ')}`);
}

function moves(from: string, to: string, tables: readonly string[]): string[] {
  return tables.map((name) => `${quoteName(from)}.${quoteName(name)} TO ${quoteName(to)}.${quoteName(name)}`);
}

export async function databaseExists(session: Session, name: string): Promise<boolean> {
  return (
    (await session.row(`SELECT 1 AS found FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ${quoteText(name)}`)) !==
    undefined
  );
}

export async function tableNames(session: Session, database: string): Promise<string[]> {
  const rows = await session.rows(
    `SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${quoteText(database)} AND TABLE_TYPE <> 'VIEW'`,
  );
  return rows.map(({ name }) => name ?? '');
}

/** In the kept database they are made again to be looked at; its events do not act. */
async function keepPrograms(session: Session, aside: string, programs: readonly Program[]): Promise<string[]> {
  const problems: string[] = [];
  for (const one of programs) {
    const definition =
      one.kind === 'event'
        ? one.definition.replace(/\b(ON COMPLETION (?:NOT )?PRESERVE) ENABLE\b/, '$1 DISABLE')
        : one.definition;
    try {
      await remake(session, aside, [{ ...one, definition }]);
    } catch (error) {
      problems.push(`the ${one.kind} ${one.name} that was there is not in ${aside}: ${messageOf(error)}`);
    }
  }
  return problems;
}

/** A foreign key of a table that stays would follow the table that leaves. */
async function refuseReferences(session: Session, target: string, leaving: readonly string[]): Promise<void> {
  if (leaving.length === 0) return;
  const rows = await session.rows(
    `SELECT DISTINCT TABLE_SCHEMA AS owner, TABLE_NAME AS name, REFERENCED_TABLE_NAME AS parent FROM information_schema.KEY_COLUMN_USAGE
     WHERE REFERENCED_TABLE_SCHEMA = ${quoteText(target)}`,
  );
  const stays = rows.find(
    ({ owner, name, parent }) => leaving.includes(parent ?? '') && !(owner === target && leaving.includes(name ?? '')),
  );
  if (!stays) return;
  throw new HoldfastError({
    code: 'restore.target-invalid',
    message: `the table ${stays.owner}.${stays.name} has a foreign key to ${target}.${stays.parent}, which would be replaced without it`,
    remedy: 'Restore both tables together, or restore to another database and copy the rows from there.',
  });
}

/** Present tables, to be told before anything is touched. */
export async function describePresent(session: Session, target: string): Promise<number> {
  try {
    const { count } = await oneRow(
      session,
      `SELECT COUNT(*) AS count FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${quoteText(target)}`,
    );
    return Number(count);
  } catch (error) {
    throw explainRefusal(error, session.place, `database ${target}`);
  }
}
