/** Views, routines, triggers and events: how they are written, made and dropped. */
import type { Program } from './catalog.ts';
import { makePrograms } from './load.ts';
import { loadSession } from './load-session.ts';
import { isDatabase, quoteName, quoteText } from './names.ts';
import type { Session } from './session.ts';

/** Its statement, between those that set the session it was made under and those that put it back. */
export function programStatements({ definition, sqlMode, collation, timeZone, madeIn }: Program): string[] {
  const under = [
    ...(sqlMode === undefined ? [] : [`sql_mode = ${quoteText(sqlMode)}`]),
    ...(collation === undefined ? [] : [`collation_connection = ${collation}`]),
    ...(timeZone === undefined ? [] : [`time_zone = ${quoteText(timeZone)}`]),
  ];
  // Of the current database, which is the one it is made in.
  const inCollation = (name: string): string => `ALTER DATABASE COLLATE ${name}`;
  return [
    ...(under.length > 0 ? [`SET SESSION ${under.join(', ')}`] : []),
    ...(madeIn ? [inCollation(madeIn.collation), definition, inCollation(madeIn.since)] : [definition]),
    ...loadSession,
  ];
}

/** What is made in one database. */
export interface Remade {
  readonly database: string;
  readonly programs: readonly Program[];
}

/** From their definitions as a server showed them. `restore.failed`. */
export async function remake(session: Session, all: readonly Remade[]): Promise<void> {
  const written = all.map(({ database, programs }) => ({
    database,
    statements: programs.flatMap((program) => {
      const section = { kind: 'program', program: program.kind, name: program.name } as const;
      return programStatements(program).map((sql) => ({ section, sql }));
    }),
  }));
  await makePrograms(session, written);
}

export async function dropProgram(session: Session, database: string, { kind, name }: Program): Promise<void> {
  await session.run(`DROP ${kind.toUpperCase()} IF EXISTS ${quoteName(database)}.${quoteName(name)}`);
}

/** What is there, without definitions, in an order in which it can be dropped. */
export async function listPrograms(session: Session, database: string): Promise<Program[]> {
  const within = (column: string): string => isDatabase(column, database);
  const views = await session.rows(
    `SELECT TABLE_NAME AS name FROM information_schema.VIEWS WHERE ${within('TABLE_SCHEMA')}`,
  );
  const routines = await session.rows(
    `SELECT ROUTINE_NAME AS name, ROUTINE_TYPE AS type FROM information_schema.ROUTINES WHERE ${within('ROUTINE_SCHEMA')}`,
  );
  const triggers = await session.rows(
    `SELECT TRIGGER_NAME AS name FROM information_schema.TRIGGERS WHERE ${within('TRIGGER_SCHEMA')}`,
  );
  const events = await session.rows(
    `SELECT EVENT_NAME AS name FROM information_schema.EVENTS WHERE ${within('EVENT_SCHEMA')}`,
  );
  const program = (kind: Program['kind'], name: string | null): Program => ({ kind, name: name ?? '', definition: '' });
  return [
    ...triggers.map(({ name }) => program('trigger', name)),
    ...events.map(({ name }) => program('event', name)),
    ...views.map(({ name }) => program('view', name)),
    ...routines.map(({ name, type }) => program((type ?? '').toLowerCase() as Program['kind'], name)),
  ];
}
