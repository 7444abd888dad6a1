/** What a session is told before it loads a dump. */
import { isServerError, type Session } from './session.ts';

/**
 * No conversion, and no checks of what was checked when it was written, or was let in by who switched the check off: dates like
 * 2020-02-31, rows that break a CHECK (MariaDB), options of tables that InnoDB does not heed (MariaDB; for MySQL see `loosen`).
 * Every row is committed, also where a server's default is not to.
 */
export const loadSession: readonly string[] = [
  'SET NAMES utf8mb4',
  "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', time_zone = '+00:00', foreign_key_checks = 0, unique_checks = 0, autocommit = 1/*M!100203 , check_constraint_checks = 0, innodb_strict_mode = 0*/",
];

/** Of MySQL, which lets only some users set them: a table that was made without them can be made again only without them. */
const rules: readonly string[] = [
  'innodb_strict_mode',
  'restrict_fk_on_non_standard_key',
  'sql_require_primary_key',
  'sql_generate_invisible_primary_key',
];

/** Makes a session ready to load, whatever a dump says of its own (older ones say less). */
export async function prepareLoader(session: Session): Promise<void> {
  await session.run(...loadSession);
  for (const rule of rules) await loosen(session, rule);
}

/** Who may not, or a server that knows no such rule, loads what the rule allows. */
async function loosen(session: Session, rule: string): Promise<void> {
  try {
    await session.run(`SET SESSION ${rule} = 0`);
  } catch (error) {
    if (!isServerError(error)) throw error;
  }
}
