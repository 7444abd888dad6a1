/**
 * Whether the user sees everything. A server does not refuse to list what a user may not see, it leaves it out, so a
 * missing privilege would quietly make a smaller backup.
 */
import { HoldfastError } from '../../base/errors.ts';
import type { Session } from './session.ts';

/** Without these, tables, views, triggers and events are missing from the lists. */
const needed = ['SELECT', 'SHOW VIEW', 'TRIGGER', 'EVENT'] as const;
/** With any of these routines are listed; one whose text is hidden then is an error when it is read. */
const listsRoutines = ['SHOW_ROUTINE', 'SHOW CREATE ROUTINE', 'EXECUTE', 'ALTER ROUTINE', 'CREATE ROUTINE'] as const;

/** `source.unreadable` naming the first privilege that is missing, and the statement that grants it. */
export async function requirePrivileges(session: Session, databases: readonly string[]): Promise<void> {
  const granted = await readGranted(session);
  for (const database of databases) {
    const has = (privilege: string, on = database): boolean => granted.some((one) => one.covers(privilege, on));
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

interface Granted {
  covers(privilege: string, database: string): boolean;
}

async function readGranted(session: Session): Promise<Granted[]> {
  const { role } = (await session.row('SELECT CURRENT_ROLE() AS role').catch(() => undefined)) ?? {};
  const isMysqlRole = role?.includes('@') ?? false;
  const rows = await session.table(isMysqlRole ? `SHOW GRANTS FOR CURRENT_USER() USING ${role}` : 'SHOW GRANTS');
  return rows.flatMap(([text]) => parseGrant(text ?? '') ?? []);
}

/** `GRANT SELECT, SHOW VIEW ON `shop\_%`.* TO …`; `undefined` for grants on tables, routines and roles. */
export function parseGrant(text: string): Granted | undefined {
  const match = /^GRANT (.*?) ON (?:(\*)|`((?:[^`]|``)+)`)\.\* TO /s.exec(text);
  if (!match) return undefined;
  const [, list, everywhere, pattern = ''] = match;
  const privileges = new Set(list.split(',').map((one) => one.trim().toUpperCase()));
  const isAll = privileges.has('ALL PRIVILEGES') || privileges.has('ALL');
  const fits = everywhere ? /^/ : likePattern(pattern.replaceAll('``', '`'));
  return { covers: (privilege, database) => (isAll || privileges.has(privilege)) && fits.test(database) };
}

/** A grant's database is a LIKE pattern: `%` any, `_` one, a backslash takes the next literally. */
function likePattern(pattern: string): RegExp {
  const source = pattern.replace(/\\(.)|%|_|[\^$.*+?()[\]{}|/]/gs, (found, literal: string | undefined) => {
    if (found === '%') return '[^]*';
    if (found === '_') return '[^]';
    return `\\${literal ?? found}`.replace(/^\\(\w)$/, '$1');
  });
  return new RegExp(`^${source}$`, 'i');
}
