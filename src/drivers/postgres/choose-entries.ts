/** Some tables of a dump: the entries of its table of contents that make them, with what belongs to them. */
import { HoldfastError } from '../../base/errors.ts';
import type { RestoreRequest } from '../driver.ts';
import { readEntries } from './dump-entries.ts';
import { explainProgram } from './failures.ts';
import type { Loader } from './load.ts';
import { choosePartitioned, lineageIn } from './partitions.ts';
import { programIn } from './programs.ts';
import type { DatabaseFacts } from './source-facts.ts';
import { globMatcher } from './sql-text.ts';

type Relations = DatabaseFacts['relations'];
type StoredRelation = Relations[number];

/**
 * The list `pg_restore --use-list` takes, for `include` and `exclude` as schema.table with * and ?. A table comes with its
 * partitions, a partition with the definition of its table. Foreign keys are left out, as the table they point to may be.
 */
export async function chooseEntries(loader: Loader, facts: DatabaseFacts, request: RestoreRequest): Promise<string> {
  const { programs } = loader;
  if (facts.format !== 'custom' || programs.host.kind !== 'local') {
    throw refused(
      'single tables are restored only from dumps in the format custom, by a pg_restore on this machine',
      'Restore the whole database under another name, and copy the tables.',
    );
  }
  const chosen = choose(facts.relations, request);
  const lines = (await contentsOf(loader, facts)).split('\n').filter((line) => /^\d+;/.test(line));
  const relationOf = readEntries(facts);
  const kept = lines.filter((line) => {
    const relation = relationOf(line);
    return relation !== undefined && chosen.has(relation);
  });
  if (facts.relations.some(({ oids }) => oids === undefined)) refuseIfPartitioned(lines, kept);
  return `${kept.join('\n')}\n`;
}

/** An older snapshot does not say which tables are partitions of one that was chosen, and holds no rows itself. */
function refuseIfPartitioned(lines: readonly string[], kept: readonly string[]): void {
  const isAttached = (line: string): boolean => / TABLE ATTACH /.test(line);
  const rows = kept.filter((line) => / TABLE DATA /.test(line)).length;
  const tables = kept.filter((line) => /^\S+ 1259 \d+ TABLE /.test(line)).length;
  if (tables <= rows || kept.some(isAttached) || !lines.some(isAttached)) return;
  throw refused(
    'the dump holds no rows of a table that is to be restored, and the snapshot is too old to say whether it has partitions',
    'Name the partitions, too, e.g. public.orders*; or restore the whole database under another name.',
  );
}

export function isSelecting({ include = [], exclude = [] }: RestoreRequest): boolean {
  return include.length > 0 || exclude.length > 0;
}

/** `restore.target-invalid` if nothing is chosen in any of the dumps. Gives those in which something is. */
export function requireChosen(databases: readonly DatabaseFacts[], request: RestoreRequest): Set<DatabaseFacts> {
  const concerned = databases.filter(({ relations }) => choose(relations, request).size > 0);
  if (concerned.length > 0) return new Set(concerned);
  throw refused(
    `no table in the dump of ${databases.map(({ name }) => name).join(', ')} matches ${request.include?.join(', ')}`,
    'Patterns are schema.table with * and ?, e.g. public.orders.',
  );
}

function choose(relations: Relations, { include = [], exclude = [] }: RestoreRequest): Set<StoredRelation> {
  const wanted = include.length === 0 ? () => true : globMatcher(include);
  const unwanted = globMatcher(exclude);
  const key = ({ schema, name }: { schema: string; name: string }): string => JSON.stringify([schema, name]);
  const path = ({ schema, name }: StoredRelation): string => `${schema}.${name}`;
  const lineage = lineageIn(relations, key, ({ partitionOf }) => partitionOf && key(partitionOf));
  return choosePartitioned(
    relations,
    lineage,
    (one) => wanted(path(one)),
    (one) => unwanted(path(one)),
  );
}

async function contentsOf({ programs, contents, source, reach }: Loader, facts: DatabaseFacts): Promise<string> {
  const process = await programs.host.run({
    argv: [programIn(programs, 'pg_restore'), '--list'],
    env: reach.env,
    signal: source.signal,
  });
  const parts: Uint8Array[] = [];
  const said = (async () => {
    for await (const part of process.stdout) parts.push(Uint8Array.from(part));
  })();
  try {
    for await (const piece of contents.read(facts.path)) {
      // It reads the table of contents, and ends.
      const isTaken = await process.write(piece).then(
        () => true,
        () => false,
      );
      if (!isTaken) break;
    }
    await process.endInput();
    await said;
    const { status, stderr } = await process.exit;
    if (status !== 0) throw explainProgram(stderr, `read the dump of ${facts.name}`, 'restore.failed');
    return Buffer.concat(parts).toString('utf8');
  } finally {
    process.kill();
    await process.exit;
  }
}

function refused(message: string, remedy: string): HoldfastError {
  return new HoldfastError({ code: 'restore.target-invalid', message, remedy });
}
