/** Which databases, schemas and tables a source means; patterns become exact names, so that every program takes them alike. */
import { HoldfastError } from '../../base/errors.ts';
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
  readonly hasSchema: (schema: string) => boolean;
  /** Of «schemas» and «tables», what nothing in this database fits. */
  readonly unmatched: readonly Unmatched[];
  /** What tells pg_dump the same. */
  readonly dumpArguments: readonly string[];
}

export interface ChosenDatabases {
  readonly names: readonly string[];
  /** Patterns that none fits. */
  readonly unmatched: readonly Unmatched[];
}

/** `source.missing` if nothing matches, or a database named without a pattern is not there. */
export async function chooseDatabases(session: Session, settings: Settings, place: Place): Promise<ChosenDatabases> {
  const { databases, exclude } = settings;
  if (databases === undefined) return { names: [place.database], unmatched: [] };
  const rows = await session.query(
    'SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname',
  );
  const present = rows.map(([name]) => name ?? '');
  const unmatched = databases === 'all' ? [] : notIn(present, 'databases', databases);
  refuseMissing(unmatched, `${place.title} has no database`, `The server has: ${present.join(', ')}.`);
  const wanted = databases === 'all' ? () => true : globMatcher(databases);
  const unwanted = globMatcher(exclude);
  const names = present.filter((name) => wanted(name) && !unwanted(name));
  if (names.length > 0) return { names, unmatched };
  throw new HoldfastError({
    code: 'source.missing',
    message: `no database at ${place.title} is chosen by «databases» and «exclude»`,
    remedy: `The server has: ${present.join(', ')}.`,
  });
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
  (SELECT refobjid FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype IN ('i', 'a') AND refclassid = 'pg_class'::regclass AND c.relkind = 'S' LIMIT 1)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relpersistence <> 't'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname, c.relname`;

export async function listRelations(session: Session): Promise<Relation[]> {
  const rows = await session.query(relationsQuery);
  return rows.map(([oid, schema, name, kind, unlogged, bytes, identityOf, ownedBy]) => ({
    oid: oid ?? '',
    schema: schema ?? '',
    name: name ?? '',
    kind: kind ?? '',
    isUnlogged: unlogged === 't',
    bytes: Number(bytes),
    ...(identityOf !== null && { identityOf }),
    ...(ownedBy !== null && { ownedBy }),
  }));
}

/** Everything, as of a restored copy. */
export function selectAll(relations: readonly Relation[]): Selection {
  return { relations, withoutRows: new Set(), breadth: 'all', hasSchema: () => true, unmatched: [], dumpArguments: [] };
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
  const { schemas, excludeSchemas, tables, excludeTables, excludeTableData } = settings;
  const inSchemas = schemas.length === 0 ? () => true : globMatcher(schemas);
  const notInSchemas = globMatcher(excludeSchemas);
  const hasSchema = (schema: string): boolean => inSchemas(schema) && !notInSchemas(schema);
  const named = tables.length === 0 ? undefined : globMatcher(tables);
  const unwanted = globMatcher(excludeTables);
  const path = ({ schema, name }: Relation): string => `${schema}.${name}`;
  const chosen = new Map(
    all
      .filter((one) => hasSchema(one.schema) && (named?.(path(one)) ?? true) && !unwanted(path(one)))
      .map((one) => [one.oid, one]),
  );
  followOwners(all, chosen, named !== undefined);
  if (named && chosen.size === 0) throw nothingMatches('tables');
  if (schemas.length > 0 && !allSchemas.some(hasSchema)) throw nothingMatches('schemas');
  const emptied = globMatcher(excludeTableData);
  const withoutRows = [...chosen.values()].filter((one) => emptied(path(one)));
  const breadth = named ? 'tables' : schemas.length > 0 ? 'schemas' : 'all';
  return {
    relations: [...chosen.values()],
    withoutRows: new Set(withoutRows.map(({ oid }) => oid)),
    breadth,
    hasSchema,
    unmatched: [
      ...notIn(allSchemas, 'schemas', schemas),
      ...notIn(all.filter(({ schema }) => hasSchema(schema)).map(path), 'tables', tables),
    ],
    dumpArguments: dumpArguments(all, {
      allSchemas,
      chosen,
      withoutRows,
      breadth,
      hasSchema,
      isUnwanted: (one) => unwanted(path(one)),
    }),
  };
}

/** As pg_dump does: the sequence of an identity column goes with its table; another sequence a column owns comes with it. */
function followOwners(all: readonly Relation[], chosen: Map<string, Relation>, adds: boolean): void {
  for (const one of all) {
    if (one.identityOf !== undefined && !chosen.has(one.identityOf)) chosen.delete(one.oid);
    const isOwned = one.ownedBy !== undefined && chosen.has(one.ownedBy);
    if (isOwned && (adds || one.identityOf !== undefined)) chosen.set(one.oid, one);
  }
}

function dumpArguments(
  all: readonly Relation[],
  parts: {
    allSchemas: readonly string[];
    chosen: ReadonlyMap<string, Relation>;
    withoutRows: readonly Relation[];
    breadth: Selection['breadth'];
    hasSchema: (schema: string) => boolean;
    isUnwanted: (one: Relation) => boolean;
  },
): string[] {
  const { allSchemas: schemas, chosen, withoutRows, breadth, hasSchema, isUnwanted } = parts;
  const word = ({ schema, name }: Relation): string => `${quoteName(schema)}.${quoteName(name)}`;
  const args = withoutRows.map((one) => `--exclude-table-data=${word(one)}`);
  if (breadth === 'tables') args.push(...[...chosen.values()].map((one) => `--table=${word(one)}`));
  else if (breadth === 'schemas') args.push(...schemas.filter(hasSchema).map((one) => `--schema=${quoteName(one)}`));
  else args.push(...schemas.filter((one) => !hasSchema(one)).map((one) => `--exclude-schema=${quoteName(one)}`));
  if (breadth !== 'tables')
    args.push(
      ...all.filter((one) => hasSchema(one.schema) && isUnwanted(one)).map((one) => `--exclude-table=${word(one)}`),
    );
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
