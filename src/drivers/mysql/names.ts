/** Names of databases, tables and accounts: quoted in SQL, chosen by patterns, and as file names. */
import { joined } from '../../base/patterns.ts';

export const systemDatabases: ReadonlySet<string> = new Set([
  'mysql',
  'information_schema',
  'performance_schema',
  'sys',
]);

/** The folder of a snapshot that holds the dumps, and the name of the accounts in it. */
export const dumpFolder = 'mysql';
export const accountsFile = 'users.sql';

export function quoteName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

/** A literal in any sql_mode: a quote is doubled, and a text with a backslash goes as hex. */
export function quoteText(text: string): string {
  if (/[\\\0\n\r]/.test(text)) return `CONVERT(0x${Buffer.from(text, 'utf8').toString('hex')} USING utf8mb4)`;
  return `'${text.replaceAll("'", "''")}'`;
}

/**
 * That a column of information_schema names this database, told apart from others as the server tells them apart. MariaDB's
 * `=` takes `zü` and `Zu` for `zu` in some of its views (EVENTS, TRIGGERS, KEY_COLUMN_USAGE), whatever its names know; it
 * stays, as it is what servers look up by.
 */
export function isDatabase(column: string, name: string): string {
  const text = `CONVERT(${quoteText(name)} USING utf8mb4)`;
  const folded = (value: string): string => `IF(@@lower_case_table_names = 0, ${value}, LOWER(${value}))`;
  return `${column} = ${quoteText(name)} AND ${folded(column)} = ${folded(text)} COLLATE utf8mb4_bin`;
}

/** `a*` and `?` as in a shell, everything else literally. */
export function matcher(patterns: readonly string[]): (name: string) => boolean {
  const sources = patterns.map((pattern) => pattern.replace(/[\^$\\.+()[\]{}|/]/g, '\\$&').replaceAll('?', '[^]'));
  const forms = sources.map((source) => new RegExp(`^${joined(source.split(/\*+/), '[^]', 'star')}$`, 'u'));
  return (name) => forms.some((form) => form.test(name));
}

/** Any name as a file name: bytes that have a meaning in paths are written %2f, and `users` does not meet `users.sql`. */
export function dumpFileName(database: string): string {
  const plain = database.replace(/[%/\\\p{Cc}]/gu, percent).replace(/^\./, percent);
  return `${plain === 'users' ? '%75sers' : plain}.sql`;
}

function percent(character: string): string {
  return [...Buffer.from(character, 'utf8')].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
}

/** The name of the database in a file that `dumpFileName` named; `undefined` for the accounts and for other files. */
export function databaseOf(fileName: string): string | undefined {
  if (fileName === accountsFile || !fileName.endsWith('.sql')) return undefined;
  return decodeURIComponent(fileName.slice(0, -'.sql'.length));
}
