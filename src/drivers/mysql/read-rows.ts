/** The statement that reads a table's rows exactly, the same for a backup and for a comparison. */
import type { Column, Table } from './catalog.ts';
import { quoteName } from './names.ts';

/** Columns as they are read: those that can be written first, then the generated ones, which are compared only. */
export function readColumns({ columns }: Table): Column[] {
  return [...columns.filter((one) => !one.generated), ...columns.filter((one) => one.generated)];
}

/** Rows in primary-key order, else in stored order (no index may choose another). Needs `character_set_results = NULL`. */
export function selectRows(database: string, table: Table): string {
  const columns = readColumns(table).map(expression);
  const from = `SELECT ${columns.join(', ')} FROM ${quoteName(database)}.${quoteName(table.name)}`;
  // Other engines read faster, and as exactly, in the order they store.
  if (table.primaryKey === undefined || table.engine.toLowerCase() !== 'innodb') return `${from} USE INDEX ()`;
  return `${from} FORCE INDEX (PRIMARY) ORDER BY ${table.primaryKey.map(quoteName).join(', ')}`;
}

/** A FLOAT is shown with six digits only; as DOUBLE it is shown with all it has. */
function expression({ name, type }: Column): string {
  return type === 'float' ? `${quoteName(name)} * 1e0` : quoteName(name);
}
