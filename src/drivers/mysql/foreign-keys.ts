/** Foreign keys and sequences of tables that are loaded beside their place, and keys of tables that stay where others leave. */
import { HoldfastError } from '../../base/errors.ts';
import { isDatabase, systemDatabases } from './names.ts';
import { readGrants } from './privileges.ts';
import type { Session } from './session.ts';

/** Where the table lies that a foreign key refers to, or the sequence that numbers a column, quoted; `undefined` if the definition says it right. */
export type ParentOf = (database: string | undefined, table: string) => string | undefined;

const name = '`((?:[^`]|``)+)`';
/** A reference, a sequence that numbers a column (MariaDB), or a text or name that may only look like one. */
const reference = new RegExp(
  `(\\b(?:next|last)val\\(|\\bFOREIGN KEY (?:\`(?:[^\`]|\`\`)+\` )?\\([^()]*\\) REFERENCES )(?:${name}\\.)?${name}|'(?:[^'\\\\]|\\\\.|'')*'|\`(?:[^\`]|\`\`)+\``,
  'gs',
);

/** A definition as a server shows it, whose references go to where `parentOf` says. */
export function withParents(definition: string, parentOf: ParentOf): string {
  return definition.replace(
    reference,
    (found, head: string | undefined, database: string | undefined, table: string | undefined) => {
      if (head === undefined || table === undefined) return found;
      const parent = parentOf(database?.replaceAll('``', '`'), table.replaceAll('``', '`'));
      return parent === undefined ? found : head + parent;
    },
  );
}

/** The tables that leave a database. */
export interface Leaving {
  readonly target: string;
  readonly leaving: readonly string[];
  /** Where the tables are that take their place; keys of these may go with what leaves. */
  readonly staging: string;
}

/** `restore.target-invalid` if a table that stays has a foreign key to one that leaves: it would follow it. Of tables the user is shown. */
export async function refuseReferences(session: Session, all: readonly Leaving[]): Promise<void> {
  const leaves = (database: string | null, table: string | null): boolean =>
    all.some(({ target, leaving }) => target === database && leaving.includes(table ?? ''));
  for (const { target, leaving } of all) {
    if (leaving.length === 0) continue;
    const rows = await session.rows(
      `SELECT TABLE_SCHEMA AS owner, TABLE_NAME AS name, REFERENCED_TABLE_NAME AS parent FROM information_schema.KEY_COLUMN_USAGE
       WHERE ${isDatabase('REFERENCED_TABLE_SCHEMA', target)}`,
    );
    const stays = rows.find(
      ({ owner, name: child, parent }) =>
        leaves(target, parent) && !leaves(owner, child) && !all.some(({ staging }) => staging === owner),
    );
    if (stays === undefined) continue;
    throw new HoldfastError({
      code: 'restore.target-invalid',
      message: `the table ${stays.owner}.${stays.name} has a foreign key to ${target}.${stays.parent}, which would be replaced without it`,
      remedy: 'Restore both tables together, or restore to another database and copy the rows from there.',
    });
  }
}

/** False if tables that this user is not shown may have foreign keys that nobody can look for. */
export async function seesAllKeys(session: Session): Promise<boolean> {
  const { listsKeys, restricted } = await readGrants(session);
  return listsKeys && restricted.every((name) => systemDatabases.has(name));
}
