/** Whether a column is one of any number of names, as one parameter. */
import { sql } from 'kysely';
import type { Catalogue } from './open.ts';

/** Rows keep the order they are read in: the expression is one that no index of the column is used for. */
export function isAmong(kind: Catalogue['kind'], column: unknown, names: readonly string[]) {
  return kind === 'sqlite'
    ? sql<boolean>`+${column} in (select value from json_each(${JSON.stringify(names)}))`
    : sql<boolean>`(${column} || '') = any(${names})`;
}
