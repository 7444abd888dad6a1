/** A restored copy: every database of the snapshot in a server of our own, asked and compared. */
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { type Check, compareFacts, type Fact, type Fingerprint } from '../../model/fingerprint.ts';
import type { RestoredCopy, SnapshotContents, Throwaway } from '../driver.ts';
import { inDatabase } from './backup.ts';
import { listRelations, selectAll } from './choice.ts';
import { textMeasure } from './definitions.ts';
import {
  algorithms,
  isWithin,
  type Level,
  nextValueMeasure,
  nextValues,
  roleFacts,
  sequenceFacts,
  sequencesOf,
  takeFacts,
} from './fingerprint.ts';
import { load, requireExtensions } from './load.ts';
import type { Source } from './place.ts';
import { findClient } from './programs.ts';
import { reachServer } from './reach.ts';
import { createAllRoles, readGlobals } from './roles.ts';
import { createDatabase } from './runbook.ts';
import { openSession, type Session } from './session.ts';
import { type DatabaseFacts, readSourceFacts, type SourceFacts } from './source-facts.ts';
import { startThrowawayServer, type ThrowawayServer } from './throwaway-server.ts';

/** Roles, then databases, up to a server that answers. */
export async function restoreThrowaway(
  source: Source,
  contents: SnapshotContents,
  throwaway: Throwaway,
): Promise<RestoredCopy> {
  const facts = await readSourceFacts(contents);
  await using opening = new AsyncDisposableStack();
  const server = opening.use(await startThrowawayServer(source, throwaway, facts.server.major));
  const filled = await fill(server, contents, facts).catch(async (error: unknown) => {
    throw await server.explain(error);
  });
  const opened = opening.move();
  const [first] = facts.databases;
  const isLocal = server.host.kind === 'local';
  return {
    bytes: filled.bytes,
    instance: [server.title, ...filled.remarks].join(', '),
    compare: (expected) => compare(server, facts, expected),
    query: (statement) => query(server.source, first.name, statement),
    environment: isLocal
      ? {
          PGHOST: server.socketDirectory,
          PGPORT: '5432',
          PGDATABASE: first.name,
          PGUSER: server.role,
          PGSSLMODE: 'disable',
          // What a person has psql do at its start may lead elsewhere.
          PSQLRC: '/dev/null',
        }
      : {},
    isApart: !isLocal,
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

async function fill(
  server: ThrowawayServer,
  contents: SnapshotContents,
  facts: SourceFacts,
): Promise<{ bytes: number; remarks: string[] }> {
  const { source } = server;
  await using session = await openSession(source);
  await requireExtensions(session, facts.databases, server.major);
  await createAllRoles(session, await readGlobals(contents, facts), facts);
  const near: Source =
    server.host.kind === 'local'
      ? { ...source, host: source.local }
      : { ...source, settings: { ...source.settings, client: 'host' } };
  const programs = await findClient(near, {
    atLeast: Math.max(facts.client.major, facts.server.major),
    prefer: server.major,
  });
  await using reach = await reachServer(near, programs.host);
  const loader = { source, major: server.major, programs, reach, contents, spool: `${server.directory}/spool` };
  const remarks: string[] = [];
  let bytes = 0;
  for (const database of facts.databases) {
    remarks.push(...(await create(session, database, server.major)));
    bytes += await load(loader, database, { name: database.name, withOwners: true });
  }
  return { bytes, remarks };
}

/** Where the locale is not installed, a drill takes the C locale: it sorts otherwise, and holds the same. */
async function create(session: Session, facts: DatabaseFacts, major: number): Promise<string[]> {
  try {
    await session.query(createDatabase(facts, facts.name, { major }));
    return [];
  } catch (error) {
    if (!/locale|provider|collat/i.test(messageOf(error))) throw error;
    await session.query(createDatabase(facts, facts.name, { major, plain: true }));
    return [`with the collation C for ${facts.name}, because ${facts.locale ?? facts.collate} is not installed here`];
  }
}

async function compare(
  server: ThrowawayServer,
  facts: SourceFacts,
  expected: Fingerprint | undefined,
): Promise<Check[]> {
  if (expected === undefined) return facts.databases.map(({ name }) => restored(name));
  const level = (Object.keys(algorithms) as Level[]).find((one) => algorithms[one] === expected.algorithm);
  if (level === undefined) return [unknownAlgorithm(expected)];
  const found: Fact[] = [];
  for (const database of facts.databases) {
    const taken = await factsOf(server, database, level);
    const several = facts.databases.length > 1;
    found.push(
      ...taken.map((fact) => (several ? { ...fact, subject: inDatabase(database.name, fact.subject) } : fact)),
    );
  }
  if (facts.globals) {
    await using session = await openSession(server.source);
    found.push(...(await roleFacts(session)));
  }
  // Other versions write expressions otherwise; what they mean alike is compared in any case.
  const isAlike = ({ measure }: Fact): boolean => measure !== textMeasure || server.major === facts.server.major;
  return compareFacts(expected.facts.filter(isAlike), found.filter(isAlike)).map(inRange);
}

async function factsOf({ source }: ThrowawayServer, database: DatabaseFacts, level: Level): Promise<Fact[]> {
  await using opened = new AsyncDisposableStack();
  const session = opened.use(await openSession(source, database.name));
  const { breadth, madeSchemas } = database;
  // The schema of an extension may be there only because the extension is.
  const hasSchema = (schema: string): boolean => madeSchemas?.includes(schema) ?? true;
  const selection = { ...selectAll(await listRelations(session)), breadth, hasSchema };
  const others: Session[] = [];
  for (let i = 1; i < source.settings.jobs; i++) others.push(opened.use(await openSession(source, database.name)));
  const taken = await takeFacts({ session, others, selection, extent: { ...database, level } });
  const sequences = sequencesOf(selection.relations, database);
  const values = await nextValues(session, sequences);
  return [...taken, ...sequenceFacts(sequences, values, values)];
}

/** A sequence is not part of the snapshot: pg_dump read it between our two readings. */
function inRange(check: Check): Check {
  return check.measure === nextValueMeasure && isWithin(check.expected, check.found) ? { ...check, ok: true } : check;
}

function restored(name: string): Check {
  return { subject: `database ${name}`, measure: 'restores without an error', expected: 'yes', found: 'yes', ok: true };
}

function unknownAlgorithm(expected: Fingerprint): Check {
  const known = Object.values(algorithms).join(' or ');
  return { subject: 'fingerprint', measure: 'algorithm', expected: expected.algorithm, found: known, ok: false };
}

async function query(source: Source, database: string, statement: string): Promise<string> {
  await using session = await openSession(source, database);
  try {
    const rows = await session.query(statement);
    return rows.map((row) => row.map((value) => value ?? '').join('\t')).join('\n');
  } catch (cause) {
    throw new HoldfastError({
      code: 'drill.failed',
      message: `the restored copy answers «${statement}» with: ${messageOf(cause)}`,
      remedy: 'Check the statement; tables are written with their schema, as in public.orders.',
      cause,
    });
  }
}
