/** Which databases, schemas and tables a source means; patterns become exact names, so that every program takes them alike. */
import { HoldfastError } from '../../base/errors.ts';
import { isHalfRestored, leftoverWords } from './leftovers.ts';
import { choosePartitioned, lineageIn, type Named, partitionNotes } from './partitions.ts';
import type { Place } from './place.ts';
import type { Session } from './session.ts';
import type { Settings } from './settings.ts';
import { globMatcher, quoteName } from './sql-text.ts';

export interface Relation {
  readonly oid: string;
  readonly schema: string;
  readonly name: string;
  /** `pg_class.relkind`: r table, p partitioned, v view, m materialised, S sequence, f foreign. */
  readonly kind: string;
  readonly isUnlogged: boolean;
  /** A guess from the number of pages, for the order of work. */
  readonly bytes: number;
  /** For the sequence of an identity column: the table. */
  readonly identityOf?: string;
  /** For a sequence that belongs to a column: the table. */
  readonly ownedBy?: string;
  /** For a partition: the table. */
  readonly partitionOf?: string;
}

/** A name or pattern of the settings that nothing fits. */
export interface Unmatched {
  readonly setting: 'databases' | 'schemas' | 'tables';
  readonly pattern: string;
}

/** What of a database is stored. */
export interface Selection {
  readonly relations: readonly Relation[];
  /** Relations whose rows are not stored. */
  readonly withoutRows: ReadonlySet<string>;
  /** `all`; `schemas`: objects in these schemas only; `tables`: tables and what belongs to them only. */
  readonly breadth: 'all' | 'schemas' | 'tables';
  /** Whether what is no relation is stored, too. */
  readonly hasSchema: (schema: string) => boolean;
  /** Of «schemas» and «tables», what nothing in this database fits. */
  readonly unmatched: readonly Unmatched[];
  /** Partitions that are left out although their table is not, or because it is. */
  readonly notes: readonly string[];
  /** What tells pg_dump the same. */
  readonly dumpArguments: readonly string[];
}

export interface ChosenDatabases {
  readonly names: readonly string[];
  /** Patterns that none fits. */
  readonly unmatched: readonly Unmatched[];
  /** Databases that a pattern, or «all», does not choose although it fits, and what is to be known of others. */
  readonly notes: readonly string[];
}

/** `source.missing` if nothing matches, or a database named without a pattern is not there. */
export async function chooseDatabases(session: Session, settings: Settings, place: Place): Promise<ChosenDatabases> {
  const { databases, exclude } = settings;
  if (databases === undefined) return { names: [place.database], unmatched: [], notes: [] };
  const found = await listDatabases(session);
  const present = found.map(({ name }) => name);
  const unmatched = databases === 'all' ? [] : notIn(present, 'databases', databases);
  refuseMissing(unmatched, `${place.title} has no database`, `The server has: ${present.join(', ')}.`);
  const wanted = databases === 'all' ? () => true : globMatcher(databases);
  const unwanted = globMatcher(exclude);
  const meant = found.filter(({ name }) => wanted(name) && !unwanted(name));
  const isNamed = ({ name }: Database): boolean => databases !== 'all' && databases.includes(name);
  const names = meant.filter((one) => isNamed(one) || one.reason === undefined).map(({ name }) => name);
  const notes = meant.flatMap((one) => (isNamed(one) ? [] : (one.reason ?? leftoverWords(one.name) ?? [])));
  if (names.length > 0) return { names, unmatched, notes };
  throw new HoldfastError({
    code: 'source.missing',
    message: `no database at ${place.title} is chosen by «databases» and «exclude»`,
    remedy: `The server has: ${present.join(', ')}.`,
  });
}

interface Database {
  readonly name: string;
  /** Why only who names it gets it. */
  readonly reason: string | undefined;
}

/** All but the two that every server has as templates. */
async function listDatabases(session: Session): Promise<Database[]> {
  const rows = await session.query(
    "SELECT datname, datconnlimit = -2, datallowconn, datistemplate FROM pg_catalog.pg_database WHERE datname NOT IN ('template0', 'template1') ORDER BY datname",
  );
  return rows.map(([name, invalid, open, template]) => ({
    name: name ?? '',
    reason: reasonToLeave(name ?? '', {
      isInvalid: invalid === 't',
      isOpen: open === 't',
      isTemplate: template === 't',
    }),
  }));
}

function reasonToLeave(
  name: string,
  { isInvalid, isOpen, isTemplate }: { isInvalid: boolean; isOpen: boolean; isTemplate: boolean },
): string | undefined {
  if (isInvalid)
    return `the database ${name} is not stored: it is what DROP DATABASE left when it was broken off, and can only be dropped`;
  if (isHalfRestored(name)) return `not stored: ${leftoverWords(name)}`;
  if (!isOpen) return `the database ${name} is not stored, because it lets nobody in`;
  if (isTemplate) return `the database ${name} is a template, and not stored unless «databases» names it`;
  return undefined;
}

function notIn(present: readonly string[], setting: Unmatched['setting'], patterns: readonly string[]): Unmatched[] {
  return patterns.filter((pattern) => !present.some(globMatcher([pattern]))).map((pattern) => ({ setting, pattern }));
}

function refuseMissing(unmatched: readonly Unmatched[], lacking: string, hint: string): void {
  const missing = unmatched.filter(({ pattern }) => !/[*?]/.test(pattern)).map(({ pattern }) => pattern);
  if (missing.length === 0) return;
  throw new HoldfastError({
    code: 'source.missing',
    message: `${lacking} ${missing.join(', ')}`,
    remedy: `Correct «${unmatched[0]?.setting}», or take out what is gone for good. ${hint}`,
  });
}

/** What fits in none of the databases. `source.missing` if it is a name without a pattern. */
export function unmatchedInAll(databases: readonly { name: string; unmatched: readonly Unmatched[] }[]): Unmatched[] {
  const [first, ...others] = databases;
  const isSame = (a: Unmatched, b: Unmatched): boolean => a.setting === b.setting && a.pattern === b.pattern;
  const left = (first?.unmatched ?? []).filter((one) =>
    others.every(({ unmatched }) => unmatched.some((other) => isSame(one, other))),
  );
  const names = databases.map(({ name }) => name).join(', ');
  for (const setting of ['schemas', 'tables'] as const) {
    const those = left.filter((one) => one.setting === setting);
    refuseMissing(those, `${names} has no ${setting.slice(0, -1)}`, 'Names are taken as they are written.');
  }
  return left;
}

export function warningOf({ setting, pattern }: Unmatched): string {
  return `nothing fits «${pattern}» of «${setting}»`;
}

/** Everything a person made: not the system's, not temporary, not part of an extension. */
const relationsQuery = `
SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence = 'u', c.relpages::bigint * 8192,
  (SELECT refobjid FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'i' AND refclassid = 'pg_class'::regclass AND c.relkind = 'S' LIMIT 1),
  (SELECT refobjid FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype IN ('i', 'a') AND refclassid = 'pg_class'::regclass AND c.relkind = 'S' LIMIT 1),
  (SELECT inhparent FROM pg_inherits WHERE inhrelid = c.oid AND c.relispartition)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relpersistence <> 't'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname, c.relname`;

export async function listRelations(session: Session): Promise<Relation[]> {
  const rows = await session.query(relationsQuery);
  return rows.map(([oid, schema, name, kind, unlogged, bytes, identityOf, ownedBy, partitionOf]) => ({
    oid: oid ?? '',
    schema: schema ?? '',
    name: name ?? '',
    kind: kind ?? '',
    isUnlogged: unlogged === 't',
    bytes: Number(bytes),
    ...(identityOf !== null && { identityOf }),
    ...(ownedBy !== null && { ownedBy }),
    ...(partitionOf !== null && { partitionOf }),
  }));
}

/** Everything, as of a restored copy. */
export function selectAll(relations: readonly Relation[]): Selection {
  return {
    ...{ relations, withoutRows: new Set(), breadth: 'all', hasSchema: () => true },
    ...{ unmatched: [], notes: [], dumpArguments: [] },
  };
}

/** Those people made, also if there is no table in them. */
const schemasQuery = `
SELECT n.nspname FROM pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e')`;

/** What of the database the settings mean now. `source.missing` if `schemas` or `tables` match nothing. */
export async function lookForSelection(session: Session, settings: Settings): Promise<Selection> {
  const relations = await listRelations(session);
  const rows = await session.query(schemasQuery);
  const schemas = new Set([...rows.map(([name]) => name ?? ''), ...relations.map(({ schema }) => schema)]);
  return select(relations, [...schemas], settings);
}

function select(all: readonly Relation[], allSchemas: readonly string[], settings: Settings): Selection {
  const { schemas, tables } = settings;
  const meant = readNames(settings);
  const lineage = lineageIn(
    all,
    ({ oid }) => oid,
    ({ partitionOf }) => partitionOf,
  );
  const chosen = choosePartitioned(all, lineage, meant.isWanted, meant.isUnwanted);
  const notes = partitionNotes(all, lineage, chosen, meant, { name: path, holdsRows: ({ kind }) => kind !== 'p' });
  followOwners(all, chosen);
  if (tables.length > 0 && chosen.size === 0) throw nothingMatches('tables');
  if (schemas.length > 0 && !allSchemas.some(meant.hasSchema)) throw nothingMatches('schemas');
  const relations = all.filter((one) => chosen.has(one));
  const withoutRows = relations.filter((one) => lineage(one).some(meant.isEmptied));
  const breadth = tables.length > 0 ? 'tables' : schemas.length > 0 ? 'schemas' : 'all';
  // pg_dump takes tables from schemas it stores only: that of a partition elsewhere comes with what is no relation.
  const followed = new Set(relations.map(({ schema }) => schema));
  const hasSchema = (schema: string): boolean => meant.hasSchema(schema) || followed.has(schema);
  return {
    relations,
    withoutRows: new Set(withoutRows.map(({ oid }) => oid)),
    breadth,
    hasSchema,
    unmatched: [
      ...notIn(allSchemas, 'schemas', schemas),
      ...notIn(all.filter(({ schema }) => meant.hasSchema(schema)).map(path), 'tables', tables),
    ],
    notes,
    dumpArguments: dumpArguments(all, { allSchemas, chosen, withoutRows, breadth, hasSchema }),
  };
}

function path({ schema, name }: Relation): string {
  return `${schema}.${name}`;
}

/** The patterns, each as a question about one name. */
function readNames(settings: Settings): Named<Relation> & { hasSchema: (schema: string) => boolean } {
  const { schemas, tables } = settings;
  const inSchemas = schemas.length === 0 ? () => true : globMatcher(schemas);
  const inTables = tables.length === 0 ? () => true : globMatcher(tables);
  const notInSchemas = globMatcher(settings.excludeSchemas);
  const notInTables = globMatcher(settings.excludeTables);
  const emptied = globMatcher(settings.excludeTableData);
  return {
    isWanted: (one) => inSchemas(one.schema) && inTables(path(one)),
    isUnwanted: (one) => notInSchemas(one.schema) || notInTables(path(one)),
    isEmptied: (one) => emptied(path(one)),
    hasSchema: (schema) => inSchemas(schema) && !notInSchemas(schema),
  };
}

/** As pg_dump does: a sequence that a column owns goes and comes with its table; if it is no identity, also without. */
function followOwners(all: readonly Relation[], chosen: Set<Relation>): void {
  const tables = new Set([...chosen].map(({ oid }) => oid));
  for (const one of all) {
    if (one.identityOf !== undefined && !tables.has(one.identityOf)) chosen.delete(one);
    if (one.ownedBy !== undefined && tables.has(one.ownedBy)) chosen.add(one);
  }
}

function dumpArguments(
  all: readonly Relation[],
  parts: {
    allSchemas: readonly string[];
    chosen: ReadonlySet<Relation>;
    withoutRows: readonly Relation[];
    breadth: Selection['breadth'];
    hasSchema: (schema: string) => boolean;
  },
): string[] {
  const { allSchemas: schemas, chosen, withoutRows, breadth, hasSchema } = parts;
  const word = ({ schema, name }: Relation): string => `${quoteName(schema)}.${quoteName(name)}`;
  const args = withoutRows.map((one) => `--exclude-table-data=${word(one)}`);
  if (breadth === 'tables') args.push(...[...chosen].map((one) => `--table=${word(one)}`));
  else if (breadth === 'schemas') args.push(...schemas.filter(hasSchema).map((one) => `--schema=${quoteName(one)}`));
  else args.push(...schemas.filter((one) => !hasSchema(one)).map((one) => `--exclude-schema=${quoteName(one)}`));
  if (breadth !== 'tables') {
    const away = all.filter((one) => hasSchema(one.schema) && !chosen.has(one));
    args.push(...away.map((one) => `--exclude-table=${word(one)}`));
  }
  // Names on the command line are UTF-8, whatever the database's own encoding is.
  return args.length === 0 ? [] : ['--encoding=UTF8', ...args];
}

function nothingMatches(setting: string): HoldfastError {
  return new HoldfastError({
    code: 'source.missing',
    message: `nothing in the database matches «${setting}»`,
    remedy:
      'Check the patterns: * and ? stand for characters, names are taken as they are written, tables are schema.table.',
  });
}
