/** What a server holds: databases, tables with their columns, and everything that has a definition, read in a fixed order. */
import { HoldfastError } from '../../base/errors.ts';
import { explainRefusal } from './failures.ts';
import { isDatabase, matcher, quoteName } from './names.ts';
import { oneRow, type Row, type Session } from './session.ts';
import type { Settings } from './settings.ts';

/** How a column's values are written as literals; `generated` ones are read and compared, never written. */
export interface Column {
  readonly name: string;
  /** `float`, `varchar`, `json`, …: information_schema's DATA_TYPE. */
  readonly type: string;
  /** `undefined` for what has none: numbers, dates, bytes. */
  readonly charset: string | undefined;
  readonly generated: boolean;
}

export interface Table {
  readonly kind: 'table' | 'sequence';
  readonly name: string;
  readonly engine: string;
  /** True if its rows are read as of the snapshot, whatever is written meanwhile. */
  readonly transactional: boolean;
  /** False where the rows are elsewhere (MERGE, FEDERATED, …) or were not asked for. */
  readonly withRows: boolean;
  /** What is not in a dump though it was asked for: earlier rows of a system-versioned table, rows outside of the server, rows of the tables it merges. */
  readonly notKept?: 'history' | 'elsewhere' | 'merged';
  readonly columns: readonly Column[];
  /** The columns of a primary key over whole columns. */
  readonly primaryKey: readonly string[] | undefined;
  readonly definition: string;
}

/** Views, routines, triggers and events. */
export interface Program {
  readonly kind: ProgramKind;
  readonly name: string;
  readonly definition: string;
  /** The sql_mode and collation it was created under, which are part of its meaning. */
  readonly sqlMode?: string;
  readonly collation?: string;
  readonly timeZone?: string;
  /** Its parameters and variables are of the collation its database had when it was made; here where the database has another by now. */
  readonly madeIn?: { readonly collation: string; readonly since: string };
  /** Of a trigger. */
  readonly table?: string;
}

export type ProgramKind = 'view' | 'procedure' | 'function' | 'package' | 'package body' | 'trigger' | 'event';

export interface Database {
  readonly name: string;
  readonly charset: string;
  readonly collation: string;
  readonly tables: readonly Table[];
  /** In an order in which they can be created. */
  readonly programs: readonly Program[];
}

const transactionalEngines: ReadonlySet<string> = new Set(['innodb', 'rocksdb', 'tokudb', 'ndbcluster']);
/** A BLACKHOLE has no rows anywhere. */
const rowsElsewhere: ReadonlyMap<string, Table['notKept']> = new Map([
  ['mrg_myisam', 'merged'],
  ['federated', 'elsewhere'],
  ['connect', 'elsewhere'],
  ['spider', 'elsewhere'],
  ['blackhole', undefined],
]);

export function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Reads all definitions of one database, which becomes the session's current one. */
export async function readDatabase(session: Session, name: string, settings: Settings): Promise<Database> {
  try {
    const { charset, collation } = await oneRow(
      session,
      `SELECT DEFAULT_CHARACTER_SET_NAME AS charset, DEFAULT_COLLATION_NAME AS collation FROM information_schema.SCHEMATA WHERE ${isDatabase('SCHEMA_NAME', name)}`,
    );
    await session.run(`USE ${quoteName(name)}`);
    const listed = await listTables(session, name, settings);
    const tables = await readTables(session, name, listed, settings);
    const views = listed.filter(({ type }) => type === 'VIEW').map((one) => one.name ?? '');
    const made = (program: Program): Program => withCollation(program, collation ?? '');
    const programs = [
      ...(await readRoutines(session, name)).map(made),
      ...orderViews(await readEach(session, 'view', views)),
      ...(await readTriggers(session, name, tables)).map(made),
      ...(await readEach(session, 'event', await listEvents(session, name))).map(made),
    ];
    return { name, charset: charset ?? '', collation: collation ?? '', tables, programs };
  } catch (error) {
    throw explainRefusal(error, session.place, `database ${name}`);
  }
}

async function listTables(session: Session, database: string, settings: Settings): Promise<Row[]> {
  const isExcluded = matcher(settings.excludeTables);
  const rows = await session.rows(
    `SELECT TABLE_NAME AS name, TABLE_TYPE AS type, ENGINE AS engine FROM information_schema.TABLES WHERE ${isDatabase('TABLE_SCHEMA', database)}`,
  );
  return rows
    .filter(({ name }) => !isExcluded(`${database}.${name}`))
    .toSorted((a, b) => byBytes(a.name ?? '', b.name ?? ''));
}

async function readTables(
  session: Session,
  database: string,
  listed: readonly Row[],
  settings: Settings,
): Promise<Table[]> {
  const skipsRows = matcher(settings.excludeTableData);
  const columns = await readColumns(session, database);
  const keys = await readPrimaryKeys(session, database);
  const tables: Table[] = [];
  for (const { name: named, type, engine } of listed) {
    if (type === 'VIEW' || type === 'SYSTEM VIEW' || named === null) continue;
    const kind = type === 'SEQUENCE' ? 'sequence' : 'table';
    const engineName = (engine ?? '').toLowerCase();
    const isAskedFor = !skipsRows(`${database}.${named}`);
    const missing = type === 'SYSTEM VERSIONED' ? 'history' : rowsElsewhere.get(engineName);
    tables.push({
      kind,
      name: named,
      engine: engine ?? 'unknown',
      transactional: transactionalEngines.has(engineName) || kind === 'sequence',
      withRows: isAskedFor && !rowsElsewhere.has(engineName),
      ...(isAskedFor && missing && { notKept: missing }),
      columns: columns.get(named) ?? [],
      primaryKey: keys.get(named),
      definition: await readDefinition(session, kind, named),
    });
  }
  // What is read under a lock comes early, so that the lock ends early; a sequence is there before a column that it numbers.
  const isSequence = ({ kind }: Table): boolean => kind === 'sequence';
  return [
    ...tables.filter(isSequence),
    ...tables.filter((one) => !one.transactional),
    ...tables.filter((one) => one.transactional && !isSequence(one)),
  ];
}

async function readColumns(session: Session, database: string): Promise<Map<string, Column[]>> {
  const rows = await session.rows(
    `SELECT TABLE_NAME AS owner, COLUMN_NAME AS name, DATA_TYPE AS type, CHARACTER_SET_NAME AS charset, EXTRA AS extra,
     GENERATION_EXPRESSION AS expression FROM information_schema.COLUMNS
     WHERE ${isDatabase('TABLE_SCHEMA', database)} ORDER BY TABLE_NAME, ORDINAL_POSITION`,
  );
  const found = new Map<string, Column[]>();
  for (const row of rows) {
    const owner = row.owner ?? '';
    // The server sets when a row began and ended to be; in a copy that is when it was loaded.
    if (/^ROW (?:START|END)$/i.test(row.expression ?? '')) continue;
    const column = {
      name: row.name ?? '',
      type: (row.type ?? '').toLowerCase(),
      charset: row.charset ?? undefined,
      // MariaDB's own expression is NULL for plain columns, MySQL's an empty text; EXTRA tells DEFAULT_GENERATED apart.
      generated: (row.expression ?? '') !== '' || /\b(?:VIRTUAL|STORED|PERSISTENT) /i.test(`${row.extra} `),
    };
    found.set(owner, [...(found.get(owner) ?? []), column]);
  }
  return found;
}

/** Keys over a prefix of a column do not order rows, and are left out. MariaDB's `=` takes an index named `prïmary` for one. */
async function readPrimaryKeys(session: Session, database: string): Promise<Map<string, string[]>> {
  const rows = await session.rows(
    `SELECT TABLE_NAME AS owner, COLUMN_NAME AS name, SUB_PART AS part FROM information_schema.STATISTICS
     WHERE ${isDatabase('TABLE_SCHEMA', database)} AND CAST(INDEX_NAME AS BINARY) = 'PRIMARY' ORDER BY TABLE_NAME, SEQ_IN_INDEX`,
  );
  const found = new Map<string, string[]>();
  const prefixed = new Set<string>();
  for (const { owner, name, part } of rows) {
    if (part !== null || name === null) prefixed.add(owner ?? '');
    found.set(owner ?? '', [...(found.get(owner ?? '') ?? []), name ?? '']);
  }
  for (const owner of prefixed) found.delete(owner);
  return found;
}

async function readRoutines(session: Session, database: string): Promise<Program[]> {
  const rows = await session.rows(
    `SELECT ROUTINE_NAME AS name, ROUTINE_TYPE AS type FROM information_schema.ROUTINES WHERE ${isDatabase('ROUTINE_SCHEMA', database)}`,
  );
  const order: readonly ProgramKind[] = ['package', 'package body', 'function', 'procedure'];
  const programs: Program[] = [];
  for (const kind of order) {
    const names = rows.filter(({ type }) => type?.toLowerCase() === kind).map(({ name }) => name ?? '');
    programs.push(...(await readEach(session, kind, names)));
  }
  return programs;
}

/** In the order in which those of one table and event act. */
async function readTriggers(session: Session, database: string, tables: readonly Table[]): Promise<Program[]> {
  const rows = await session.rows(
    `SELECT TRIGGER_NAME AS name, EVENT_OBJECT_TABLE AS owner FROM information_schema.TRIGGERS WHERE ${isDatabase('TRIGGER_SCHEMA', database)}
     ORDER BY EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER`,
  );
  const kept = new Set(tables.map(({ name }) => name));
  const programs: Program[] = [];
  for (const { name, owner } of rows) {
    if (owner === null || !kept.has(owner)) continue;
    const trigger = await readProgram(session, 'trigger', name ?? '');
    programs.push({ ...trigger, definition: withoutDatabase(trigger.definition), table: owner });
  }
  return programs;
}

const identifier = '(?:`(?:[^`]|``)+`|"(?:[^"]|"")+"|[\\w$\\u0080-\\uffff]+)';
const triggerHead = new RegExp(
  `^(CREATE (?:DEFINER=\\S+ )?TRIGGER\\s+(?:IF NOT EXISTS\\s+)?)(?:${identifier}\\s*\\.\\s*)?(${identifier}\\s+(?:BEFORE|AFTER)\\s+\\w+\\s+ON\\s+)(?:${identifier}\\s*\\.\\s*)?(${identifier})`,
  'i',
);

/** A trigger is shown as it was written; without the database in its head it can be restored to another one. */
export function withoutDatabase(trigger: string): string {
  return trigger.replace(triggerHead, '$1$2$3');
}

async function listEvents(session: Session, database: string): Promise<string[]> {
  const rows = await session.rows(
    `SELECT EVENT_NAME AS name FROM information_schema.EVENTS WHERE ${isDatabase('EVENT_SCHEMA', database)}`,
  );
  return rows.map(({ name }) => name ?? '');
}

async function readEach(session: Session, kind: ProgramKind, names: readonly string[]): Promise<Program[]> {
  const programs: Program[] = [];
  for (const name of names.toSorted(byBytes)) programs.push(await readProgram(session, kind, name));
  return programs;
}

async function readProgram(session: Session, kind: ProgramKind, name: string): Promise<Program> {
  const row = await oneRow(session, `SHOW CREATE ${kind.toUpperCase()} ${quoteName(name)}`);
  const definition = definitionIn(row);
  if (definition === undefined) throw hidden(session, kind, name);
  return {
    kind,
    name,
    definition,
    ...(row.sql_mode !== undefined && { sqlMode: row.sql_mode ?? '' }),
    ...(row.collation_connection && { collation: row.collation_connection }),
    ...(row.time_zone && { timeZone: row.time_zone }),
    ...(row['Database Collation'] && { madeIn: { collation: row['Database Collation'], since: '' } }),
  };
}

/** Leaves `madeIn` only where it says more than the database does. */
function withCollation({ madeIn, ...program }: Program, ofDatabase: string): Program {
  const differs = madeIn !== undefined && madeIn.collation !== ofDatabase;
  return { ...program, ...(differs && { madeIn: { collation: madeIn.collation, since: ofDatabase } }) };
}

async function readDefinition(session: Session, kind: 'table' | 'sequence', name: string): Promise<string> {
  const row = await oneRow(session, `SHOW CREATE ${kind.toUpperCase()} ${quoteName(name)}`);
  const definition = definitionIn(row);
  if (definition === undefined) throw hidden(session, kind, name);
  return definition;
}

function definitionIn(row: Row): string | undefined {
  const [, value] = Object.entries(row).find(([key]) => /^(?:Create |SQL Original Statement)/i.test(key)) ?? [];
  return value ?? undefined;
}

function hidden(session: Session, kind: string, name: string): HoldfastError {
  return new HoldfastError({
    code: 'source.unreadable',
    message: `${session.place.title} does not show the definition of the ${kind} ${name} to the user ${session.place.user}`,
    remedy:
      'Grant it what docs/drivers lists for backups: for routines SHOW_ROUTINE (MySQL), SHOW CREATE ROUTINE or SELECT ON mysql.proc (MariaDB).',
  });
}

/** Views after the views they read from, else by name. Cycles cannot be created, so the order exists. */
export function orderViews(views: readonly Program[]): Program[] {
  const byName = new Map(views.map((view) => [view.name, view]));
  const ordered = new Set<Program>();
  const visiting = new Set<Program>();
  const visit = (view: Program): void => {
    if (ordered.has(view) || visiting.has(view)) return;
    visiting.add(view);
    for (const name of readsFrom(view.definition)) {
      const other = byName.get(name);
      if (other) visit(other);
    }
    ordered.add(view);
  };
  for (const view of views) visit(view);
  return [...ordered];
}

/** Names after FROM and JOIN; the server writes definitions in one form, with every name quoted. */
function readsFrom(definition: string): string[] {
  const sources = definition.matchAll(/(?:\bfrom|\bjoin|,)\s*\(*\s*(?:`(?:[^`]|``)+`\.)?`((?:[^`]|``)+)`(?!\.)/gi);
  return [...sources].map(([, name]) => name.replaceAll('``', '`'));
}

const counter = /^(\) .*?ENGINE=\w+(?: [A-Z_]+=\w+)*?) AUTO_INCREMENT=\d+/m;

/** A definition without the counter that every insert moves. */
export function withoutCounter(definition: string): string {
  return definition.replace(counter, '$1');
}
