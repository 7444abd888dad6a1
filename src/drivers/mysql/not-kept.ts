/** What tables hold that a dump does not, to be told with every snapshot: data that only seems to be backed up is lost. */
import type { Database, Table } from './catalog.ts';

export interface NotKept {
  /** Of data that is not in the backup. */
  readonly warnings: readonly string[];
  /** Of rows that are in it under another name. */
  readonly notes: readonly string[];
}

const mostNamed = 10;

export function notKept(databases: readonly Database[]): NotKept {
  const of = (what: Table['notKept']): string | undefined => {
    const all = databases.flatMap(({ name, tables }) =>
      tables.filter((table) => table.notKept === what).map((table) => `${name}.${table.name} (${table.engine})`),
    );
    const more = all.length > mostNamed ? `, and ${all.length - mostNamed} more` : '';
    return all.length > 0 ? all.slice(0, mostNamed).join(', ') + more : undefined;
  };
  const [history, elsewhere, merged] = [of('history'), of('elsewhere'), of('merged')];
  return {
    warnings: [
      ...(history
        ? [`the history of system-versioned tables is not in the backup, their current rows are: ${history}`]
        : []),
      ...(elsewhere
        ? [`rows that lie outside of the server are not in the backup, only how they are reached: ${elsewhere}`]
        : []),
    ],
    notes: merged ? [`kept without rows of their own, which are those of the tables they merge: ${merged}`] : [],
  };
}
