/** Rights on single routines: a server takes them away when the routine is dropped. */
import { messageOf } from '../../../base/errors.ts';
import { quoteName, quoteText } from '../names.ts';
import { listPrograms } from '../programs.ts';
import { isServerError, type Session } from '../session.ts';

export interface RoutineGrant {
  /** `PROCEDURE`, `FUNCTION`, `PACKAGE`, `PACKAGE BODY`. */
  readonly type: string;
  readonly routine: string;
  /** Quoted: `app`@`%`, or a role of MariaDB. */
  readonly grantee: string;
  /** `EXECUTE`, `ALTER ROUTINE`, …; `USAGE` where only the right to give them is there. */
  readonly privileges: string;
  readonly mayGrant: boolean;
}

/** Those of one database; `undefined` if the user may not see them. None where dropping a routine leaves them. */
export async function readRoutineGrants(session: Session, database: string): Promise<RoutineGrant[] | undefined> {
  const { taken } = (await session.row('SELECT @@automatic_sp_privileges AS taken')) ?? {};
  if (taken === '0') return [];
  try {
    const rows = await session.rows(
      `SELECT Host AS host, Db AS db, User AS user, Routine_name AS routine, Routine_type AS type, Proc_priv AS rights FROM mysql.procs_priv WHERE Db = ${quoteText(database)}`,
    );
    return rows
      .filter(({ db }) => db === database)
      .map(({ host, user, routine, type, rights }) => {
        const names = (rights ?? '').split(',').map((name) => name.toUpperCase());
        const privileges = names.filter((name) => name !== 'GRANT' && name !== '');
        return {
          type: type ?? '',
          routine: routine ?? '',
          grantee: quoteName(user ?? '') + (host ? `@${quoteName(host)}` : ''),
          privileges: privileges.length > 0 ? privileges.join(', ') : 'USAGE',
          mayGrant: names.includes('GRANT'),
        };
      });
  } catch (error) {
    if (isServerError(error) && [1044, 1142, 1143].includes(error.errno)) return undefined;
    throw error;
  }
}

export function grantStatement(
  database: string,
  { type, routine, grantee, privileges, mayGrant }: RoutineGrant,
): string {
  const option = mayGrant ? ' WITH GRANT OPTION' : '';
  return `GRANT ${privileges} ON ${type} ${quoteName(database)}.${quoteName(routine)} TO ${grantee}${option}`;
}

/** To those routines that are there. Gives what could not be given. */
export async function giveRoutineGrants(
  session: Session,
  database: string,
  grants: readonly RoutineGrant[],
): Promise<string[]> {
  if (grants.length === 0) return [];
  const there = await listPrograms(session, database);
  const problems: string[] = [];
  for (const grant of grants) {
    if (!there.some(({ kind, name }) => kind.toUpperCase() === grant.type && sameRoutine(name, grant.routine)))
      continue;
    const statement = grantStatement(database, grant);
    try {
      await session.run(statement);
    } catch (error) {
      if (!isServerError(error)) throw error;
      problems.push(`a right could not be given again (${statement}): ${messageOf(error)}`);
    }
  }
  return problems;
}

/** The server keeps the name in the grant in lower case, whatever the routine is called. */
function sameRoutine(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
