/** Columns that are numbered by a sequence (MariaDB) name its database, and go on naming it when table and sequence move. */
import { isDatabase, quoteName } from '../names.ts';
import type { Session } from '../session.ts';
import type { Exchange } from './exchange.ts';

/** After the exchange: the defaults of the restored tables name the sequences where they are now. May be done any number of times. */
export async function followSequences(session: Session, all: readonly Exchange[]): Promise<void> {
  for (const { target, arrived } of all) {
    const rows = await session.rows(
      `SELECT TABLE_NAME AS owner, COLUMN_NAME AS name, COLUMN_DEFAULT AS expression FROM information_schema.COLUMNS
       WHERE ${isDatabase('TABLE_SCHEMA', target)} AND COLUMN_DEFAULT LIKE '%val(%'`,
    );
    for (const table of arrived) {
      const changes = rows.flatMap(({ owner, name, expression }) => {
        const moved = owner === table ? inTargets(expression ?? '', all) : undefined;
        return moved === undefined ? [] : [`ALTER COLUMN ${quoteName(name ?? '')} SET DEFAULT ${moved}`];
      });
      // All columns at once: a table with one that names no sequence cannot be altered.
      if (changes.length > 0) {
        await session.run(`ALTER TABLE ${quoteName(target)}.${quoteName(table)} ${changes.join(', ')}`);
      }
    }
  }
}

/** `undefined` if it names nothing of where the tables were loaded. */
function inTargets(expression: string, all: readonly Exchange[]): string | undefined {
  let moved = expression;
  for (const { staging, target } of all) {
    moved = moved.replaceAll(`${quoteName(staging)}.`, () => `${quoteName(target)}.`);
  }
  return moved === expression ? undefined : moved;
}
