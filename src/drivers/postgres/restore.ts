/** Puts databases back into a server: made anew under another name, and exchanged with what is there by the last step. */
import { type ErrorDetails, HoldfastError, hasCode, messageOf } from '../../base/errors.ts';
import type { RestoreOutcome, RestoreRequest, SnapshotContents } from '../driver.ts';
import { chooseEntries, isSelecting } from './choose-entries.ts';
import { backendOf, type Ended, end, exchange, undo } from './exchange.ts';
import { ofRestore } from './failures.ts';
import { type Loader, load, requireExtensions } from './load.ts';
import { placeOf, type Source } from './place.ts';
import { findClient } from './programs.ts';
import { reachServer } from './reach.ts';
import { type Item, longestName, makePlan, type Plan } from './restore-plan.ts';
import { type RolePlan, readGlobals } from './roles.ts';
import { createDatabase } from './runbook.ts';
import { openSession, type Session, serverVersion } from './session.ts';
import { type Settings, settings as settingsSchema } from './settings.ts';
import { readSourceFacts, type SourceFacts } from './source-facts.ts';

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
  const globals = await readGlobals(contents, facts);
  // A snapshot whose source is not declared here comes without settings.
  const settings = source.settings as Settings | undefined;
  const plan = await makePlan(server, session, { facts, globals, names, request, settings, major, text });
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
  await createRoles(session, plan.roles);
  await using reach = await reachServer(server, programs.host);
  const loader: Loader = { source: server, major, programs, reach, contents };
  const { bytes, problems } = await restoreAll(loader, session.database, plan, request);
  return { steps: plan.steps, bytes, files: plan.items.length, problems: [...plan.problems, ...problems] };
}

/** One database after the other. */
async function restoreAll(
  loader: Loader,
  maintenance: string,
  { items, roles: { roles }, withOwners }: Plan,
  request: RestoreRequest,
): Promise<{ bytes: number; problems: readonly string[] }> {
  const done: Restored[] = [];
  try {
    for (const item of items) {
      const entries = isSelecting(request) ? await chooseEntries(loader, item.facts, request) : undefined;
      done.push({ item, ...(await restoreOne(loader, maintenance, item, { withOwners, entries })) });
    }
  } catch (error) {
    throw withDone(ofRestore(error), done, roles);
  }
  return {
    bytes: done.reduce((sum, { bytes }) => sum + bytes, 0),
    problems: done.flatMap(({ problems }) => problems),
  };
}

/** One database that is complete and has its name. */
interface Restored extends Ended {
  readonly item: Item;
  readonly bytes: number;
}

/** Each has a session of its own: one that was lost is not needed for the next. */
async function restoreOne(
  loader: Loader,
  maintenance: string,
  item: Item,
  options: { withOwners: boolean; entries: string | undefined },
): Promise<Ended & { readonly bytes: number }> {
  const { source } = loader;
  const { facts, making } = item;
  await using session = await openSession(source, maintenance);
  const backend = await backendOf(session);
  let oid: string | undefined;
  let bytes = 0;
  let isExchanging = false;
  try {
    await session.query(createDatabase(facts, making, loader));
    oid = await session.value('SELECT oid FROM pg_catalog.pg_database WHERE datname = $1', [making]);
    bytes = await load(loader, facts, { name: making, ...options });
    isExchanging = true;
    await exchange(source, session, item);
  } catch (error) {
    // The server refused to make it: what has that name is not ours.
    if (oid === undefined && !hasCode(error, 'host.unreachable', 'cancelled')) throw error;
    await session[Symbol.asyncDispose]();
    const became = await undo(source, maintenance, { wanted: item, backend, oid }).catch((failure: unknown) => {
      throw notUndone(error, { item, isExchanging, failure });
    });
    if (became === 'removed') throw error;
  }
  return { bytes, ...(await end(source, maintenance, item)) };
}

/** What failed first stays the reason. */
function notUndone(
  error: unknown,
  { item, isExchanging, failure }: { item: Item; isExchanging: boolean; failure: unknown },
): HoldfastError {
  const { name, making, aside } = item;
  const details = detailsOf(error);
  const kept = aside === undefined ? '' : `, and what it was is kept as ${aside}`;
  return new HoldfastError({
    ...details,
    message: isExchanging
      ? `${details.message}; and the server could not be asked whether ${name} is the restored one, or what was made for it could not be removed: ${messageOf(failure)}`
      : `${details.message}; and what was restored of it could not be removed: ${messageOf(failure)}`,
    remedy: isExchanging
      ? `${details.remedy} Then look which databases are there: if ${making} is, drop it: nothing was exchanged; if it is not, ${name} is the restored one${kept}.`
      : `${details.remedy} Then drop the database ${making}; the one it was to replace is as it was.`,
  });
}

/** The error of one database with what was done before it. */
function withDone(error: unknown, done: readonly Restored[], roles: readonly string[]): unknown {
  const before = [
    ...(roles.length > 0 ? [`the role(s) ${roles.join(', ')} are there now`] : []),
    ...done.map(({ item, kept }) => `${item.name} is restored${becameOf(item, kept)}`),
    ...done.flatMap(({ problems }) => problems),
  ];
  if (before.length === 0) return error;
  const details = detailsOf(error);
  const names = done.map(({ item }) => item.name).join(', ');
  return new HoldfastError({
    ...details,
    message: `${details.message}; before that: ${before.join('; ')}`,
    remedy: done.length === 0 ? details.remedy : `${details.remedy} Run again, it restores ${names} once more.`,
  });
}

function becameOf({ aside }: Item, kept: string | undefined): string {
  if (aside === undefined) return '';
  return kept === undefined ? ', and what was there is dropped' : `, and what was there is kept as ${kept}`;
}

function detailsOf(error: unknown): ErrorDetails {
  if (!(error instanceof HoldfastError))
    return {
      code: 'restore.failed',
      message: messageOf(error),
      remedy: 'Look at the log of the server.',
      cause: error,
    };
  const { code, message, remedy, retry, context } = error;
  return { code, message, remedy, retry, context, cause: error };
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
      // A socket goes before the host: that of the source would lead back to its own server.
      socket: placeOf(parsed.data).isNamed ? undefined : source.settings.socket,
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

async function createRoles(session: Session, { statements }: RolePlan): Promise<void> {
  try {
    await session.query('BEGIN');
    for (const statement of statements) await session.query(statement);
    await session.query('COMMIT');
  } catch (error) {
    throw ofRestore(error);
  }
}

function invalid(target: string, why: string): HoldfastError {
  return new HoldfastError({
    code: 'restore.target-invalid',
    message: `the target «${target}» cannot be used: ${why}`,
    remedy: 'Name a database, or postgres://user@host:port/database; the password is that of the source.',
  });
}
