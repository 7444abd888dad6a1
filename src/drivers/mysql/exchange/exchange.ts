/** What an exchange of databases is about, and where its tables are: read from the server each time, never remembered. */
import type { Clock } from '../../../base/clock.ts';
import type { Database, Program } from '../catalog.ts';
import type { Loaded } from '../load.ts';
import { quoteName, quoteText } from '../names.ts';
import type { Session } from '../session.ts';
import type { Settings } from '../settings.ts';
import type { RoutineGrant } from './routine-grants.ts';

/** One database that was loaded. Staging and aside bear a random suffix: nobody else's have these names. */
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
  /** Heeded until the present state is touched; what follows is short, and is not left half-way. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly settings: Settings;
  /** The present tables are dropped in the end instead of kept in `aside`. */
  readonly overwrite: boolean;
  readonly arrivals: readonly Arrival[];
}

/** What is exchanged in one database. */
export interface Exchange extends Arrival {
  /** The loaded tables. */
  readonly arrived: readonly string[];
  readonly present: Database | undefined;
  /** The present tables that go, and what is in the way of that. */
  readonly leaving: readonly string[];
  readonly inTheWay: readonly Program[];
  /** Rights on single routines of those, which go with them. */
  readonly grants: readonly RoutineGrant[];
  /** The table in `aside` where all that is written down before any of it is dropped. */
  readonly record: string;
}

/** The tables of each of the three databases; none where there is no such database. */
export interface Whereabouts {
  readonly target: ReadonlySet<string>;
  readonly staging: ReadonlySet<string>;
  readonly aside: ReadonlySet<string>;
}

export async function whereabouts(session: Session, one: Exchange): Promise<Whereabouts> {
  const tablesOf = async (database: string): Promise<Set<string>> => new Set(await tableNames(session, database));
  const [target, staging, aside] = [one.target, one.staging, one.aside];
  return {
    target: await tablesOf(target),
    staging: await tablesOf(staging),
    aside: new Set([...(await tablesOf(aside))].filter((name) => name !== one.record)),
  };
}

/** True if something of the present database is kept in `aside` unless it is to be overwritten. */
export function isKept({ whole, leaving, inTheWay }: Exchange): boolean {
  return leaving.length > 0 || (whole && inTheWay.length > 0);
}

export async function rename(session: Session, pairs: readonly string[]): Promise<void> {
  if (pairs.length > 0) await session.run(`RENAME TABLE ${pairs.join(', ')}`);
}

export function moves(from: string, to: string, tables: readonly string[]): string[] {
  return tables.map((name) => `${quoteName(from)}.${quoteName(name)} TO ${quoteName(to)}.${quoteName(name)}`);
}

export function charsetOf({ charset, collation }: { readonly charset: string; readonly collation: string }): string {
  return `DEFAULT CHARACTER SET ${charset} COLLATE ${collation}`;
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
