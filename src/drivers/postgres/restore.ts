/** Puts databases back into a server: made anew under another name, and exchanged with what is there by the last step. */
import { randomBytes } from 'node:crypto';
import { formatInstant } from '../../base/clock.ts';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import type { RestoreOutcome, RestoreRequest, SnapshotContents } from '../driver.ts';
import { chooseEntries } from './choose-entries.ts';
import { type Loader, load, requireExtensions } from './load.ts';
import { placeOf, type Source } from './place.ts';
import { findClient } from './programs.ts';
import { reachServer } from './reach.ts';
import { missingRoles, readGlobals, statementsFor } from './roles.ts';
import { createDatabase } from './runbook.ts';
import { openSession, type Session, serverVersion } from './session.ts';
import { settings as settingsSchema } from './settings.ts';
import { type DatabaseFacts, readSourceFacts, type SourceFacts } from './source-facts.ts';
import { quoteName } from './sql-text.ts';

/** One database and where it goes. */
interface Item {
  readonly facts: DatabaseFacts;
  readonly name: string;
  /** What the database of that name is kept as; absent if there is none, or it is to be dropped. */
  readonly aside?: string;
  readonly exists: boolean;
  /** While it is being filled. */
  readonly making: string;
}

interface Plan {
  readonly items: readonly Item[];
  readonly newRoles: readonly string[];
  readonly withOwners: boolean;
  readonly steps: readonly string[];
  readonly problems: readonly string[];
}

/**
 * Targets: `postgres://user@host/database`, a database's name at the same server, another source, or nothing (its own). What
 * is there stays what it is until the new database is complete. Errors: `restore.target-invalid`, `source.busy`, `restore.failed`.
 */
export async function restore(
  source: Source,
  contents: SnapshotContents,
  request: RestoreRequest,
): Promise<RestoreOutcome> {
  const facts = await readSourceFacts(contents);
  const { server, names } = targetOf(source, facts, request);
  await using session = await openMaintenance(server, names);
  const { major, text } = await serverVersion(session);
  await requireExtensions(session, facts.databases, major);
  const plan = await makePlan(server, session, { facts, names, request, major, text });
  const include = request.include ?? [];
  const selecting = include.length > 0 || (request.exclude ?? []).length > 0;
  const programs = await findClient(server, {
    atLeast: facts.client.major,
    prefer: Math.max(major, facts.client.major),
  });
  if (request.dryRun) {
    const bytes = (await Promise.all(facts.databases.map(({ path }) => contents.node(path)))).reduce(
      (sum, node) => sum + (node?.size ?? 0),
      0,
    );
    return { steps: plan.steps, bytes, files: facts.databases.length, problems: plan.problems };
  }
  await createRoles(session, contents, facts, plan.newRoles);
  await using reach = await reachServer(server, programs.host);
  const loader: Loader = { source: server, major, programs, reach, contents };
  let bytes = 0;
  for (const item of plan.items) {
    const entries = selecting ? await chooseEntries(loader, item.facts, request) : undefined;
    bytes += await restoreOne(session, loader, item, {
      withOwners: plan.withOwners,
      entries,
      overwrite: request.overwrite,
    });
  }
  return { steps: plan.steps, bytes, files: plan.items.length, problems: plan.problems };
}

/** The server, and every database's name there, in the order of the facts. */
function targetOf(
  source: Source,
  facts: SourceFacts,
  { target, targetSource }: RestoreRequest,
): { server: Source; names: string[] } {
  const own = facts.databases.map(({ name }) => name);
  if (targetSource) {
    const server = targetSource as Source;
    return {
      server,
      names: own.length === 1 && server.settings.databases === undefined ? [placeOf(server.settings).database] : own,
    };
  }
  if (target === undefined) return { server: source, names: own };
  if (!/^postgres(?:ql)?:\/\//.test(target)) return { server: source, names: onlyOne(own, target) };
  const parsed = settingsSchema.safeParse({ ...pick(source), url: target });
  if (!parsed.success) throw invalid(target, parsed.error.issues.map(({ message }) => message).join('; '));
  const server: Source = {
    ...source,
    settings: {
      ...source.settings,
      ...parsed.data,
      password: source.settings.password,
      binDirectory: source.settings.binDirectory,
    },
  };
  const named = /^postgres(?:ql)?:\/\/[^/]*\/[^/?#]+/.test(target);
  return { server, names: named ? onlyOne(own, placeOf(server.settings).database) : own };
}

/** What holds for another server, too. */
function pick({ settings: { tls, jobs, client, spoolDirectory, lockTimeoutMs } }: Source): Record<string, unknown> {
  return { tls, jobs, client, spoolDirectory, lockTimeoutMs };
}

function onlyOne(own: readonly string[], name: string): string[] {
  if (Buffer.byteLength(name) > longestName || name === '')
    throw invalid(name, `a database’s name has 1 to ${longestName} bytes`);
  if (own.length === 1) return [name];
  throw invalid(
    name,
    `the snapshot holds ${own.length} databases (${own.join(', ')}); name a server without a database, and they keep their names`,
  );
}

const longestName = 63;

/** Not connected to a database that may be renamed. */
async function openMaintenance(server: Source, names: readonly string[]): Promise<Session> {
  const candidates = ['postgres', placeOf(server.settings).database, 'template1'].filter(
    (name) => !names.includes(name),
  );
  let failure: unknown;
  for (const name of candidates) {
    try {
      return await openSession(server, name);
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.code !== 'source.missing') throw error;
      failure ??= error;
    }
  }
  throw failure;
}

async function makePlan(
  server: Source,
  session: Session,
  {
    facts,
    names,
    request,
    major,
    text,
  }: { facts: SourceFacts; names: readonly string[]; request: RestoreRequest; major: number; text: string },
): Promise<Plan> {
  const stamp = formatInstant(server.clock.nowMs()).replace(/\D/g, '').slice(0, 14);
  const items: Item[] = [];
  for (const [i, one] of facts.databases.entries()) {
    const name = names[i];
    const exists =
      (await session.value('SELECT count(*) FROM pg_catalog.pg_database WHERE datname = $1', [name])) !== '0';
    if (exists && !request.overwrite) await refuseIfInUse(session, name);
    const aside = exists && !request.overwrite ? shortened(name, `_before_${stamp}`) : undefined;
    items.push({
      facts: one,
      name,
      exists,
      making: shortened(name, `_restoring_${randomBytes(4).toString('hex')}`),
      ...(aside !== undefined && { aside }),
    });
  }
  const missing = await missingRoles(session, facts);
  const newRoles = facts.globals ? missing : [];
  const withOwners = missing.length === 0 || facts.globals;
  const problems = [
    ...(withOwners
      ? []
      : [
          `owners and privileges are not restored, because the server lacks the role(s) ${missing.join(', ')} and the snapshot holds no roles`,
        ]),
    ...(newRoles.length > 0 && !facts.passwords ? [`the new role(s) ${newRoles.join(', ')} have no password yet`] : []),
    ...(major < facts.server.major
      ? [
          `the dump is of PostgreSQL ${facts.server.version}, the server of the older ${text}: what it does not know ends the restore`,
        ]
      : []),
  ];
  return { items, newRoles, withOwners, problems, steps: stepsOf(session, items, newRoles) };
}

function stepsOf(session: Session, items: readonly Item[], newRoles: readonly string[]): string[] {
  const place = session.place.title;
  return [
    ...(newRoles.length > 0 ? [`create the role(s) ${newRoles.join(', ')} at ${place}`] : []),
    ...items.flatMap(({ name, exists, aside }) => [
      `restore the database ${name} at ${place} beside what is there`,
      ...(aside !== undefined
        ? [`keep the present database ${name} aside as ${aside}`]
        : exists
          ? [`drop the present database ${name}`]
          : []),
      `give it its name ${name}`,
    ]),
  ];
}

/** Cut at a whole character so that suffix and all it has at most 63 bytes. */
function shortened(name: string, suffix: string): string {
  let kept = name;
  while (Buffer.byteLength(kept + suffix) > longestName) kept = [...kept].slice(0, -1).join('');
  return kept + suffix;
}

async function refuseIfInUse(session: Session, name: string): Promise<void> {
  const rows = await session.query(
    "SELECT usename || coalesce(' (' || NULLIF(application_name, '') || ')', '') FROM pg_catalog.pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'",
    [name],
  );
  if (rows.length === 0) return;
  throw new HoldfastError({
    code: 'source.busy',
    message: `the database ${name} cannot be kept aside, because ${rows.length} session(s) use it: ${[...new Set(rows.map(([who]) => who))].join(', ')}`,
    remedy:
      'Stop these programs first; or restore to another name; or use --overwrite, which ends the sessions and drops the database.',
    retry: 'later',
  });
}

async function createRoles(
  session: Session,
  contents: SnapshotContents,
  facts: SourceFacts,
  roles: readonly string[],
): Promise<void> {
  if (roles.length === 0) return;
  const globals = await readGlobals(contents, facts);
  await session.query('BEGIN');
  for (const statement of statementsFor(globals, roles)) await session.query(statement);
  await session.query('COMMIT');
}

async function restoreOne(
  session: Session,
  loader: Loader,
  item: Item,
  options: { withOwners: boolean; entries: string | undefined; overwrite: boolean },
): Promise<number> {
  const { facts, name, making } = item;
  await session.query(createDatabase(facts, making));
  try {
    const bytes = await load(loader, facts, { name: making, withOwners: options.withOwners, entries: options.entries });
    await exchange(session, item, name);
    return bytes;
  } catch (error) {
    await dropQuietly(loader.source, session, making).catch((failure: unknown) => {
      throw halfMade(error, making, failure);
    });
    throw error;
  }
}

/** What failed first stays the reason. */
function halfMade(error: unknown, name: string, failure: unknown): HoldfastError {
  const { code, remedy } =
    error instanceof HoldfastError
      ? error
      : ({ code: 'restore.failed', remedy: 'Look at the log of the server.' } as const);
  return new HoldfastError({
    code,
    message: `${messageOf(error)}; and what was restored of it could not be removed: ${messageOf(failure)}`,
    remedy: `${remedy} Then drop the database ${name}; nothing else has changed.`,
    cause: error,
  });
}

/** The old one under its aside name and the new one under its own: both, or neither. */
async function exchange(session: Session, { making, aside, exists }: Item, name: string): Promise<void> {
  if (exists && aside === undefined) await dropInUse(session, name);
  if (aside !== undefined) await refuseIfInUse(session, name);
  await session.query('BEGIN');
  try {
    if (aside !== undefined) await session.query(`ALTER DATABASE ${quoteName(name)} RENAME TO ${quoteName(aside)}`);
    await session.query(`ALTER DATABASE ${quoteName(making)} RENAME TO ${quoteName(name)}`);
    await session.query('COMMIT');
  } catch (error) {
    await session.query('ROLLBACK');
    throw error;
  }
}

async function dropInUse(session: Session, name: string): Promise<void> {
  await session.query(`ALTER DATABASE ${quoteName(name)} WITH ALLOW_CONNECTIONS false`);
  await session.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()',
    [name],
  );
  await session.query(`DROP DATABASE IF EXISTS ${quoteName(name)}`);
}

/** On its own connection, and also after a cancellation: nothing half-made stays. */
async function dropQuietly(source: Source, session: Session, name: string): Promise<void> {
  await using own = await openSession({ ...source, signal: new AbortController().signal }, session.database);
  await dropInUse(own, name);
}

function invalid(target: string, why: string): HoldfastError {
  return new HoldfastError({
    code: 'restore.target-invalid',
    message: `the target «${target}» cannot be used: ${why}`,
    remedy: 'Name a database, or postgres://user@host:port/database; the password is that of the source.',
  });
}
