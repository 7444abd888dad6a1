/**
 * Whether the user sees everything. A server does not refuse to list what a user may not see, it leaves it out, so a
 * missing privilege would quietly make a smaller backup.
 */
import { HoldfastError } from '../../base/errors.ts';
import { oneRow, type Session } from './session.ts';

/** Without these, tables, views, triggers and events are missing from the lists. */
const needed = ['SELECT', 'SHOW VIEW', 'TRIGGER', 'EVENT'] as const;
/** With any of these routines are listed; one whose text is hidden then is an error when it is read. */
const listsRoutines = ['SHOW_ROUTINE', 'SHOW CREATE ROUTINE', 'EXECUTE', 'ALTER ROUTINE', 'CREATE ROUTINE'] as const;
/** Who has one of these on *.* is shown the name of every database, less what was revoked of single ones. */
const listsDatabases = [
  ...['SHOW DATABASES', 'SELECT', 'INSERT', 'UPDATE', 'DELETE', 'CREATE', 'DROP', 'REFERENCES', 'INDEX', 'ALTER'],
  ...['CREATE TEMPORARY TABLES', 'LOCK TABLES', 'EXECUTE', 'CREATE VIEW', 'SHOW VIEW', 'CREATE ROUTINE'],
  ...['ALTER ROUTINE', 'EVENT', 'TRIGGER'],
] as const;

/** Who has one of these on *.* is shown the columns of every table, and so the keys over them. */
const listsColumns = ['SELECT', 'INSERT', 'UPDATE', 'REFERENCES'] as const;

/** `source.unreadable` naming the first privilege that is missing, and the statement that grants it. */
export async function requirePrivileges(session: Session, databases: readonly string[]): Promise<void> {
  const grants = await readGrants(session);
  for (const database of databases) {
    const has = (privilege: string, on = database): boolean => grants.has(privilege, on);
    // who reads the server's own tables sees every routine
    const seesRoutines = has('SELECT', 'mysql') || listsRoutines.some((privilege) => has(privilege));
    const missing = [...needed.filter((privilege) => !has(privilege)), ...(seesRoutines ? [] : ['EXECUTE'])];
    if (missing.length === 0) continue;
    const { user, title } = session.place;
    throw new HoldfastError({
      code: 'source.unreadable',
      message: `the user ${user} of ${title} lacks ${missing.join(', ')} on the database ${database}, so that a backup would be incomplete`,
      remedy: `GRANT ${missing.join(', ')} ON the database, or on *.*, TO the user; docs/drivers has the full list.`,
    });
  }
}

/** What the user may do, with the roles that are in force. */
export interface Grants {
  has(privilege: string, database: string): boolean;
  /** True if every database is listed, but for those in `restricted`. */
  readonly listsAll: boolean;
  /** True if the keys of every table are listed, but for those of `restricted`. */
  readonly listsKeys: boolean;
  /** Databases of which privileges on *.* were revoked, which may hide them (MySQL's partial revokes). */
  readonly restricted: readonly string[];
}

export async function readGrants(session: Session): Promise<Grants> {
  const { role } = (await session.row('SELECT CURRENT_ROLE() AS role').catch(() => undefined)) ?? {};
  const isMysqlRole = role?.includes('@') ?? false;
  const rows = await session.table(isMysqlRole ? `SHOW GRANTS FOR CURRENT_USER() USING ${role}` : 'SHOW GRANTS');
  const { literal } = (await session.row('SELECT @@partial_revokes AS literal').catch(() => undefined)) ?? {};
  const { folded } = await oneRow(session, 'SELECT @@lower_case_table_names AS folded');
  return grantsOf(
    rows.map(([text]) => text ?? ''),
    literal === '1',
    folded !== '0',
  );
}

/** `literal`: names of databases are no patterns, as where partial revokes are on. `folded`: `Shop` is `shop`. */
export function grantsOf(texts: readonly string[], literal: boolean, folded = false): Grants {
  const lines = texts.flatMap((text) => parseGrant(text, literal, folded) ?? []);
  const [granted, revoked] = [lines.filter((one) => !one.revokes), lines.filter((one) => one.revokes)];
  const everywhere = granted.filter((one) => one.database === undefined);
  // What is granted on the database itself is not touched by what it lacks of *.*.
  const has = (privilege: string, database: string): boolean =>
    granted.some((one) => one.database !== undefined && one.covers(privilege, database)) ||
    (everywhere.some((one) => one.covers(privilege, database)) &&
      !revoked.some((one) => one.covers(privilege, database)));
  const hasEverywhere = (privilege: string): boolean => everywhere.some((one) => one.covers(privilege, ''));
  return {
    has,
    listsAll: listsDatabases.some(hasEverywhere),
    listsKeys: listsColumns.some(hasEverywhere),
    restricted: hasEverywhere('SHOW DATABASES') ? [] : revoked.flatMap(({ database }) => database ?? []),
  };
}

interface Line {
  readonly revokes: boolean;
  /** As it is written; `undefined` for `*.*`. */
  readonly database: string | undefined;
  covers(privilege: string, database: string): boolean;
}

/** `GRANT SELECT, SHOW VIEW ON `shop\_%`.* TO …`, and REVOKE the same way; `undefined` for tables, routines and roles. */
export function parseGrant(text: string, literal = false, folded = false): Line | undefined {
  const match = /^(GRANT|REVOKE) (.*?) ON (?:\*|`((?:[^`]|``)+)`)\.\* (?:TO|FROM) /s.exec(text);
  if (!match) return undefined;
  const [, verb, list] = match;
  const database = (match[3] as string | undefined)?.replaceAll('``', '`');
  const privileges = new Set(list.split(',').map((one) => one.trim().toUpperCase()));
  const isAll = privileges.has('ALL PRIVILEGES') || privileges.has('ALL');
  const revokes = verb === 'REVOKE';
  const fits = database === undefined ? /^/ : likePattern(database, literal || revokes, folded);
  return {
    ...{ revokes, database },
    covers: (privilege, on) => (isAll || privileges.has(privilege)) && fits.test(on),
  };
}

/** A grant's database is a LIKE pattern: `%` any, `_` one, a backslash takes the next literally. */
function likePattern(pattern: string, literal: boolean, folded: boolean): RegExp {
  const source = pattern.replace(/\\(.)|%|_|[\^$.*+?()[\]{}|/]/gs, (found, escaped: string | undefined) => {
    if (found === '%') return literal ? '%' : '[^]*';
    if (found === '_') return literal ? '_' : '[^]';
    return `\\${escaped ?? found}`.replace(/^\\(\w)$/, '$1');
  });
  return new RegExp(`^${source}$`, folded ? 'i' : '');
}
