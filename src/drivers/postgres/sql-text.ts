/** Names and values as SQL and libpq want them written, and scripts cut into statements. */

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** On one line, whatever the text holds. */
export function quoteText(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return /[\\\n]/.test(text) ? ` E${quoted.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}` : quoted;
}

/** A connection string that names a database whatever its name looks like (a bare name with `=` would be taken for one). */
export function databaseWord(database: string): string {
  return `dbname='${database.replace(/[\\']/g, '\\$&')}'`;
}

/**
 * The statements of a script as pg_dumpall writes it: quoted names and texts may hold anything; comments, empty lines and
 * psql's own commands (`\restrict`) are left out.
 */
export function splitStatements(script: string): string[] {
  const token = /--[^\n]*|^\\[^\n]*|E'(?:[^'\\]|\\[\s\S]|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|;|[^-\\E'";]+|[\s\S]/gmy;
  const statements: string[] = [];
  let current = '';
  for (const [part] of script.matchAll(token)) {
    if (part === ';') {
      statements.push(current.trim());
      current = '';
    } else if (!part.startsWith('--') && !(part.startsWith('\\') && current.trim() === '')) {
      current += part;
    }
  }
  if (current.trim() !== '') statements.push(current.trim());
  return statements.filter((statement) => statement !== '');
}

/** Patterns with `*` and `?` over whole names. */
export function globMatcher(patterns: readonly string[]): (name: string) => boolean {
  const all = patterns.map(
    (pattern) =>
      new RegExp(
        `^${pattern
          .replace(/[\\^$.|+()[\]{}]/g, '\\$&')
          .replaceAll('*', '.*')
          .replaceAll('?', '.')}$`,
        'su',
      ),
  );
  return (name) => all.some((one) => one.test(name));
}

/** A database's name as a file name: letters, digits, `_` and `-` stay; everything else is percent-encoded. `decodeURIComponent` reads it. */
export function fileNameOf(database: string): string {
  return database
    .replace(/[^\p{L}\p{N}_-]/gu, (character) =>
      [...Buffer.from(character, 'utf8')]
        .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)
        .join(''),
    )
    .replace(/^-/, '%2D');
}
