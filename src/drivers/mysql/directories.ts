/** Where a server keeps a table's file, if not in its own directory. */

/** A clause, or a text or name that may only look like one. */
const clauses = /`(?:[^`]|``)*`|(\s(?:DATA|INDEX) DIRECTORY ?= ?)?'(?:[^'\\]|\\.|'')*'/gs;

/** The definition of a table that lies where the server keeps the others: a copy has no business in the directories of its source. */
export function withoutDirectories(definition: string): string {
  return definition.replace(clauses, (found, clause?: string) => (clause === undefined ? found : ''));
}
