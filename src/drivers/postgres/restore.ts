/** Puts databases back into a server: made anew under another name, and exchanged with what is there by the last step. */
import { randomBytes } from 'node:crypto';
import { formatInstant } from '../../base/clock.ts';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import type { RestoreOutcome, RestoreRequest, SnapshotContents } from '../driver.ts';
import { chooseEntries } from './choose-entries.ts';
import { dropMade, type Exchange, exchange, refuseIfInUse, refuseIfPrepared, subscriptionsOf } from './exchange.ts';
import { type Loader, load, requireExtensions } from './load.ts';
import { placeOf, type Source } from './place.ts';
import { findClient } from './programs.ts';
import { reachServer } from './reach.ts';
import { missingRoles, planRoles, presentRoles, type RolePlan, readGlobals } from './roles.ts';
import { createDatabase } from './runbook.ts';
import { openSession, type Session, serverVersion } from './session.ts';
import { settings as settingsSchema } from './settings.ts';
import { type DatabaseFacts, readSourceFacts, type SourceFacts } from './source-facts.ts';

/** One database and where it goes. */
interface Item extends Exchange {
  readonly facts: DatabaseFacts;
  /** What of the database comes back, for people; absent if that is all of it. */
  readonly part?: string;
  /** Why the present database is kept although it was to be dropped. */
  readonly kept?: string;
}

interface Plan {
  readonly items: readonly Item[];
  readonly roles: RolePlan;
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
  const globals = await readGlobals(contents, facts);
  const plan = await makePlan(server, session, { facts, globals, names, request, major, text });
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
  const problems = [...plan.problems];
  let bytes = 0;
  for (const item of plan.items) {
    const entries = isSelecting(request) ? await chooseEntries(loader, item.facts, request) : undefined;
    const done = await restoreOne(session, loader, item, { withOwners: plan.withOwners, entries });
    bytes += done.bytes;
    problems.push(...done.problems);
  }
  return { steps: plan.steps, bytes, files: plan.items.length, problems };
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
    globals,
    names,
    request,
    major,
    text,
  }: {
    facts: SourceFacts;
    globals: readonly string[];
    names: readonly string[];
    request: RestoreRequest;
    major: number;
    text: string;
  },
): Promise<Plan> {
  const items: Item[] = [];
  for (const [i, one] of facts.databases.entries()) items.push(await itemOf(server, session, one, names[i], request));
  const present = await presentRoles(session);
  const missing = missingRoles(facts, present);
  const roles = planRoles(globals, facts.globals ? missing : [], present);
  const withOwners = missing.length === 0 || facts.globals;
  const problems = [
    ...items.flatMap(({ kept }) => kept ?? []),
    ...items
      .filter(({ facts: { tablespaces } }) => tablespaces.length > 0)
      .map(
        ({ name, facts: { tablespaces } }) =>
          `what ${name} kept in the tablespace(s) ${tablespaces.join(', ')} goes to the default one`,
      ),
    ...(withOwners
      ? []
      : [
          `owners and privileges are not restored, because the server lacks the role(s) ${missing.join(', ')} and the snapshot holds no roles`,
        ]),
    ...roles.problems,
    ...(roles.roles.length > 0 && !facts.passwords
      ? [`the new role(s) ${roles.roles.join(', ')} have no password yet`]
      : []),
    ...(major < facts.server.major
      ? [
          `the dump is of PostgreSQL ${facts.server.version}, the server of the older ${text}: what it does not know ends the restore`,
        ]
      : []),
  ];
  return { items, roles, withOwners, problems, steps: stepsOf(session, items, roles) };
}

function stepsOf(session: Session, items: readonly Item[], { roles, joining }: RolePlan): string[] {
  const place = session.place.title;
  return [
    ...(roles.length > 0 ? [`create the role(s) ${roles.join(', ')} at ${place}`, ...joining] : []),
    ...items.flatMap(({ name, aside, dropsAside, part }) => [
      `restore ${part === undefined ? '' : `a part (${part}) of `}the database ${name} at ${place} beside what is there`,
      ...(aside !== undefined && !dropsAside ? [`keep the present database ${name} aside as ${aside}`] : []),
      `give it its name ${name}${part !== undefined && aside !== undefined ? `: all that is not in this part is then in ${aside} only` : ''}`,
      ...(aside !== undefined && dropsAside ? [`drop what was the database ${name}`] : []),
    ]),
  ];
}

/** `restore.target-exists`, `source.busy`: before anything is touched. */
async function itemOf(
  server: Source,
  session: Session,
  facts: DatabaseFacts,
  name: string,
  request: RestoreRequest,
): Promise<Item> {
  const hex = randomBytes(4).toString('hex');
  const part = partOf(facts, request);
  const item = { facts, name, making: shortened(name, `_restoring_${hex}`), ...(part !== undefined && { part }) };
  const count = await session.value('SELECT count(*) FROM pg_catalog.pg_database WHERE datname = $1', [name]);
  if (count === '0') return { ...item, endsSessions: false, dropsAside: false };
  await refuseIfPrepared(session, name);
  const stamp = formatInstant(server.clock.nowMs()).replace(/\D/g, '').slice(0, 14);
  const before = shortened(name, `_before_${stamp}`);
  if (!request.overwrite) {
    await refuseIfInUse(session, name);
    return { ...item, aside: before, endsSessions: false, dropsAside: false };
  }
  if (part !== undefined) throw onlyPart(name, part);
  const subscriptions = await subscriptionsOf(session, name);
  if (subscriptions.length === 0)
    return { ...item, aside: shortened(name, `_replaced_${hex}`), endsSessions: true, dropsAside: true };
  const kept = `the present database ${name} cannot be dropped with its subscription(s) ${subscriptions.join(', ')}: it is kept as ${before}, where DROP SUBSCRIPTION ends them, or ALTER SUBSCRIPTION … SET (slot_name = NONE) first, if the restored one goes on with the publisher’s slot`;
  return { ...item, aside: before, endsSessions: true, dropsAside: false, kept };
}

function isSelecting({ include = [], exclude = [] }: RestoreRequest): boolean {
  return include.length > 0 || exclude.length > 0;
}

function partOf({ breadth, relations }: DatabaseFacts, request: RestoreRequest): string | undefined {
  const { include = [], exclude = [] } = request;
  if (include.length > 0) return include.join(', ');
  if (exclude.length > 0) return `all but ${exclude.join(', ')}`;
  if (breadth === 'all') return undefined;
  const names = relations.map(({ schema, name }) => (breadth === 'schemas' ? schema : `${schema}.${name}`));
  const [first, ...others] = [...new Set(names)];
  const more = others.length > 2 ? ` and ${others.length - 2} more` : '';
  return `${breadth} ${[first, ...others.slice(0, 2)].join(', ')}${more}`;
}

function onlyPart(name: string, part: string): HoldfastError {
  return new HoldfastError({
    code: 'restore.target-exists',
    message: `the database ${name} is there, and only a part of one would replace it (${part}): all the rest would be dropped`,
    remedy:
      'Restore to another name (--to …) and copy what you need from there, or take the dump out of the snapshot and use pg_restore; without --overwrite the present database is kept aside.',
  });
}

/** Cut at a whole character so that suffix and all it has at most 63 bytes. */
function shortened(name: string, suffix: string): string {
  let kept = name;
  while (Buffer.byteLength(kept + suffix) > longestName) kept = [...kept].slice(0, -1).join('');
  return kept + suffix;
}

async function createRoles(session: Session, { statements }: RolePlan): Promise<void> {
  await session.query('BEGIN');
  for (const statement of statements) await session.query(statement);
  await session.query('COMMIT');
}

async function restoreOne(
  session: Session,
  loader: Loader,
  item: Item,
  options: { withOwners: boolean; entries: string | undefined },
): Promise<{ bytes: number; problems: string[] }> {
  const { facts, making } = item;
  await session.query(createDatabase(facts, making));
  try {
    const bytes = await load(loader, facts, { name: making, ...options });
    return { bytes, problems: await exchange(loader.source, session, item) };
  } catch (error) {
    await dropMade(loader.source, session.database, making).catch((failure: unknown) => {
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
    remedy: `${remedy} Then drop the database ${name}; the one it was to replace is as it was.`,
    cause: error,
  });
}

function invalid(target: string, why: string): HoldfastError {
  return new HoldfastError({
    code: 'restore.target-invalid',
    message: `the target «${target}» cannot be used: ${why}`,
    remedy: 'Name a database, or postgres://user@host:port/database; the password is that of the source.',
  });
}
