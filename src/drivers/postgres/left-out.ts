/** What of a database a source leaves out by its settings: a snapshot without it is a part, and never takes the place of the whole. */
import { listRelations, type Relation, type Selection } from './choice.ts';
import type { Session } from './session.ts';
import type { Settings } from './settings.ts';
import type { DatabaseFacts } from './source-facts.ts';
import { globMatcher } from './sql-text.ts';

export type LeftOut = NonNullable<DatabaseFacts['leftOut']>[number];

const words: Readonly<Record<LeftOut['setting'], string>> = {
  excludeSchemas: 'the schema',
  excludeTables: 'the table',
  excludeTableData: 'the rows of',
};

/** The patterns that something in this database fits. */
export async function findLeftOut(
  session: Session,
  { excludeSchemas, excludeTables, excludeTableData }: Settings,
  { relations, withoutRows }: Selection,
  schemas: readonly string[],
): Promise<LeftOut[]> {
  const chosen = new Set(relations.map(({ oid }) => oid));
  const away = excludeTables.length === 0 ? [] : (await listRelations(session)).filter(({ oid }) => !chosen.has(oid));
  const emptied = relations.filter(({ oid, kind }) => withoutRows.has(oid) && hasContent.has(kind));
  return [
    ...fitting('excludeSchemas', excludeSchemas, schemas),
    ...fitting('excludeTables', excludeTables, away.map(path)),
    ...fitting('excludeTableData', excludeTableData, emptied.map(path)),
  ];
}

/** Kinds of relations that pg_dump stores more of than the definition. */
const hasContent = new Set(['r', 'p', 'm', 'S']);

/** As the snapshot says; of an older one, which does not say it, what the settings of its source would leave out today. */
export function leftOutOf(facts: DatabaseFacts, settings: Settings | undefined): readonly LeftOut[] {
  if (facts.leftOut !== undefined) return facts.leftOut;
  if (settings === undefined) return [];
  return [
    ...fitting('excludeSchemas', settings.excludeSchemas, facts.schemas),
    // What was not stored was not recorded either: anything may have fitted.
    ...settings.excludeTables.map((pattern): LeftOut => ({ setting: 'excludeTables', pattern })),
    ...fitting('excludeTableData', settings.excludeTableData, facts.relations.map(path)),
  ];
}

/** For people: `the schema hist`, `the rows of public.sessions`. */
export function wordsOf({ setting, pattern }: LeftOut): string {
  return `${words[setting]} ${pattern}`;
}

function fitting(setting: LeftOut['setting'], patterns: readonly string[], names: readonly string[]): LeftOut[] {
  return patterns.filter((pattern) => names.some(globMatcher([pattern]))).map((pattern) => ({ setting, pattern }));
}

function path({ schema, name }: Pick<Relation, 'schema' | 'name'>): string {
  return `${schema}.${name}`;
}
