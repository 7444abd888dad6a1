/** What a person has to know of views, routines, triggers and events that were restored: a server says none of it. */
import type { Exchange } from './exchange/exchange.ts';
import { listPrograms } from './programs.ts';
import type { Statement } from './script.ts';
import type { Session } from './session.ts';

/** An event whose time has passed is made without an error, and is gone at once. Problems. */
export async function tellPassedEvents(session: Session, all: readonly Exchange[]): Promise<string[]> {
  const problems: string[] = [];
  for (const { target, whole, loaded } of all) {
    const events = whole ? named(loaded.programs).filter(({ kind }) => kind === 'event') : [];
    if (events.length === 0) continue;
    const there = new Set((await listPrograms(session, target)).map(({ kind, name }) => `${kind} ${name}`));
    const gone = events.filter(({ name }) => !there.has(`event ${name}`)).map(({ name }) => name);
    if (gone.length > 0) {
      problems.push(
        `events of the snapshot whose time has passed are not in ${target}, no server keeps them: ${gone.join(', ')}`,
      );
    }
  }
  return problems;
}

export interface Renamed {
  /** The name of the database where it was backed up. */
  readonly source: string;
  readonly target: string;
  /** The names of its tables. */
  readonly tables: readonly string[];
  readonly programs: readonly Statement[];
}

/** What names the database it was backed up from goes on reading and writing that one, restored under another name. Problems. */
export function tellNamesOfSource({ source, target, tables, programs }: Renamed): string[] {
  if (source === target) return [];
  const plain = source.replace(/[\^$\\.*+?()[\]{}|/]/g, '\\$&');
  const database = `(?:\`${plain.replaceAll('`', '``')}\`|(?<![\\w$\`.])${plain})\\.`;
  // `shop`.`id` is a column where a table is called like the database.
  const isTableToo = tables.some((table) => table.toLowerCase() === source.toLowerCase());
  const form = new RegExp(isTableToo ? `${database}[\`\\w]+\\.` : `${database}[\`\\w]`, 'iu');
  const naming = named(programs).filter(({ sql }) => form.test(sql));
  if (naming.length === 0) return [];
  const list = naming.map(({ kind, name }) => `${kind} ${name}`).join(', ');
  return [`in ${target} these name the database ${source} they were backed up from, and go on using that one: ${list}`];
}

function named(programs: readonly Statement[]): { kind: string; name: string; sql: string }[] {
  return programs.flatMap(({ section, sql }) =>
    section.kind === 'program' && sql.startsWith('CREATE ') ? [{ kind: section.program, name: section.name, sql }] : [],
  );
}
