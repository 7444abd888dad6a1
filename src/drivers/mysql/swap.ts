/**
 * Puts loaded tables in the place of present ones: one RENAME TABLE for all databases, which a server does wholly or not
 * at all. What was there goes to databases of its own, with its views, routines and triggers made again there; if anything
 * fails, it comes back.
 */
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { type Database, type Program, readDatabase } from './catalog.ts';
import { explainRefusal } from './failures.ts';
import { refuseReferences } from './foreign-keys.ts';
import { type Loaded, makePrograms } from './load.ts';
import { quoteName, quoteText } from './names.ts';
import { dropProgram, listPrograms, remake } from './programs.ts';
import { oneRow, type Session } from './session.ts';
import type { Settings } from './settings.ts';

/** One database that was loaded. */
export interface Arrival {
  /** The database that gets the tables. */
  readonly target: string;
  /** Where they were loaded; it is gone afterwards. */
  readonly staging: string;
  /** For what is present. */
  readonly aside: string;
  /** False if only some tables are restored: the others stay, with everything else. */
  readonly whole: boolean;
  readonly loaded: Loaded;
}

export interface SwapRequest {
  /** A connection that nothing cancels, told what a dump is loaded under. */
  readonly open: () => Promise<Session>;
  readonly settings: Settings;
  /** The present tables are dropped in the end instead of kept in `aside`. */
  readonly overwrite: boolean;
  readonly arrivals: readonly Arrival[];
}

/** What has been done so far with one database. */
interface Exchange extends Arrival {
  /** The loaded tables. */
  readonly arrived: readonly string[];
  readonly present: Database | undefined;
  /** The present tables that go, and what is in the way of that. */
  readonly leaving: readonly string[];
  readonly inTheWay: readonly Program[];
  madeTarget: boolean;
  madeAside: boolean;
  isCleared: boolean;
}

/**
 * `restore.failed`, `restore.target-invalid`; the targets are as they were then. Gives problems with what was kept aside.
 * It is short, and is not cancelled half-way.
 */
export async function swap(request: SwapRequest): Promise<string[]> {
  await using session = await request.open();
  const all: Exchange[] = [];
  for (const one of request.arrivals) all.push(await prepare(session, request.settings, one));
  await refuseReferences(session, all);
  const moved = { done: false };
  try {
    for (const one of all) await clear(session, one);
    await rename(session, [
      ...all.flatMap(({ target, aside, leaving }) => moves(target, aside, leaving)),
      ...all.flatMap(({ staging, target, arrived }) => moves(staging, target, arrived)),
    ]);
    moved.done = true;
    await furnish(session, all);
  } catch (error) {
    await undo(request, all, moved.done, error);
    throw error;
  }
  for (const { staging } of all) await session.run(`DROP DATABASE ${quoteName(staging)}`);
  return await finish(session, all, request.overwrite);
}

/** Changes nothing. */
async function prepare(session: Session, settings: Settings, one: Arrival): Promise<Exchange> {
  const arrived = await tableNames(session, one.staging);
  const present = (await databaseExists(session, one.target))
    ? await readDatabase(session, one.target, { ...settings, excludeTables: [], excludeTableData: [] })
    : undefined;
  const { tables = [], programs = [] } = present ?? {};
  const leaving = tables.map(({ name }) => name).filter((name) => one.whole || arrived.includes(name));
  const inTheWay = programs.filter(({ table }) => one.whole || (table !== undefined && leaving.includes(table)));
  const nothingYet = { madeTarget: false, madeAside: false, isCleared: false };
  return { ...one, arrived, present, leaving, inTheWay, ...nothingYet };
}

/** Makes the databases that are needed, and drops what stands in the way of moving tables. */
async function clear(session: Session, one: Exchange): Promise<void> {
  const { target, aside, present, loaded, leaving, inTheWay } = one;
  if (present === undefined) {
    await session.run(`CREATE DATABASE ${quoteName(target)} ${charsetOf(loaded)}`);
    one.madeTarget = true;
  } else if (leaving.length + inTheWay.length > 0) {
    await session.run(`CREATE DATABASE ${quoteName(aside)} ${charsetOf(present)}`);
    one.madeAside = true;
  }
  one.isCleared = true;
  for (const program of inTheWay) await dropProgram(session, target, program);
}

/** Everything but tables, of all databases at once: views may read other databases. */
async function furnish(session: Session, all: readonly Exchange[]): Promise<void> {
  for (const { whole, present, target, loaded } of all) {
    if (whole && present) await session.run(`ALTER DATABASE ${quoteName(target)} ${charsetOf(loaded)}`);
  }
  const whole = all.filter((one) => one.whole);
  await makePrograms(
    session,
    whole.map(({ target, loaded }) => ({ database: target, statements: loaded.programs })),
  );
  for (const one of all) if (!one.whole) await remake(session, [{ database: one.target, programs: one.inTheWay }]);
}

/** What was there is dropped, or made whole where it is kept. */
async function finish(session: Session, all: readonly Exchange[], overwrite: boolean): Promise<string[]> {
  const problems: string[] = [];
  for (const { madeAside, aside, whole, inTheWay } of all) {
    if (!madeAside) continue;
    if (overwrite) await session.run(`DROP DATABASE ${quoteName(aside)}`);
    else if (whole) problems.push(...(await keepPrograms(session, aside, inTheWay)));
  }
  return problems;
}

function charsetOf({ charset, collation }: { readonly charset: string; readonly collation: string }): string {
  return `DEFAULT CHARACTER SET ${charset} COLLATE ${collation}`;
}

/** With a connection of its own: the other may be what broke. What cannot be undone is told with where the data is. */
async function undo(request: SwapRequest, all: readonly Exchange[], moved: boolean, cause: unknown): Promise<void> {
  const begun = all.filter((one) => one.isCleared);
  try {
    await using session = await request.open();
    if (moved) await moveBack(session, all);
    // Those that were dropped before it failed, and those that were not.
    for (const { target, inTheWay } of begun) for (const one of inTheWay) await dropProgram(session, target, one);
    await remake(
      session,
      begun.map(({ target, inTheWay }) => ({ database: target, programs: inTheWay })),
    );
    for (const { madeAside, aside } of all) if (madeAside) await session.run(`DROP DATABASE ${quoteName(aside)}`);
    for (const { madeTarget, target } of all) if (madeTarget) await session.run(`DROP DATABASE ${quoteName(target)}`);
  } catch (error) {
    const list = (names: readonly string[]): string => names.join(', ');
    const targets = list(all.map(({ target }) => target));
    throw new HoldfastError({
      code: 'restore.failed',
      message: `the restore of ${targets} failed (${messageOf(cause)}), and so did putting back what was there: ${messageOf(error)}`,
      remedy: `The tables that were there are in ${targets} or in ${list(all.map(({ aside }) => aside))}, those of the snapshot in ${list(all.map(({ staging }) => staging))} or ${targets}. Move them with RENAME TABLE.`,
      cause: error,
    });
  }
}

async function moveBack(session: Session, all: readonly Exchange[]): Promise<void> {
  for (const { target, whole, inTheWay } of all) {
    // Where some tables were restored, only what was made again on them stands in the way.
    for (const one of whole ? await listPrograms(session, target) : inTheWay) await dropProgram(session, target, one);
  }
  await rename(session, [
    ...all.flatMap(({ target, staging, arrived }) => moves(target, staging, arrived)),
    ...all.flatMap(({ aside, target, leaving }) => moves(aside, target, leaving)),
  ]);
  for (const { target, whole, present } of all) {
    if (whole && present) await session.run(`ALTER DATABASE ${quoteName(target)} ${charsetOf(present)}`);
  }
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
      await remake(session, [{ database: aside, programs: [{ ...one, definition }] }]);
    } catch (error) {
      problems.push(`the ${one.kind} ${one.name} that was there is not in ${aside}: ${messageOf(error)}`);
    }
  }
  return problems;
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
