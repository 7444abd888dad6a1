/**
 * Puts databases or tables back. Each is loaded into a database beside its target first, so that the targets are untouched
 * until everything is there, and then all take their targets' places at once.
 */
import { randomInt } from 'node:crypto';
import { formatBytes } from '../../base/bytes.ts';
import { formatInstant } from '../../base/clock.ts';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import type { RestoreOutcome, RestoreRequest, SnapshotContents, SourceContext } from '../driver.ts';
import { type ChosenDatabase, choose } from './choice.ts';
import { type Arrival, databaseExists } from './exchange/exchange.ts';
import { explainRefusal } from './failures.ts';
import type { ParentOf } from './foreign-keys.ts';
import { findUnstored, type LeftOut, readLeftOut, readStored, refuseUnstored } from './left-out.ts';
import { loadTables } from './load.ts';
import { prepareLoader } from './load-session.ts';
import { accountsFile, dumpFileName, dumpFolder, quoteName } from './names.ts';
import { restoreAccounts } from './restore-accounts.ts';
import { tellNamesOfSource } from './restored-programs.ts';
import { type Flavour, identify, prepareReader, productName, requireFlavour } from './server.ts';
import { oneRow, openSession, type Session } from './session.ts';
import { isUrl, type Place, placeOf, type Settings, settings as schema } from './settings.ts';
import { describePresent, swap } from './swap.ts';
import { dumpedDatabases } from './throwaway.ts';

type Source = SourceContext<Settings>;

/** Names of databases have at most 64 characters. */
const longestName = 64;

interface Destination {
  readonly source: Source;
  readonly place: Place;
  /** The name of the one database that is restored, if it is not its own. */
  readonly name: string | undefined;
}

/** One database on its way. */
interface Task {
  readonly chosen: ChosenDatabase;
  readonly path: string;
  readonly bytes: number;
  readonly target: string;
  readonly staging: string;
  readonly aside: string;
  readonly present: number;
  /** Present tables of which the snapshot has nothing, or no rows, because its source left them out. */
  readonly unstored: readonly string[];
}

/** Errors: `restore.target-invalid`, `restore.failed`, `usage.invalid`, `host.unreachable`; the target is as it was then. */
export async function restore(
  source: Source,
  contents: SnapshotContents,
  request: RestoreRequest,
  flavour: Flavour,
): Promise<RestoreOutcome> {
  const destination = destinationOf(source, request);
  const choice = choose(await dumpedDatabases(contents), request);
  if (destination.name !== undefined && choice.databases.length !== 1)
    throw severalForOne(destination.name, choice.databases);
  await using session = await openLoader(destination, flavour, source.signal);
  const tasks: Task[] = [];
  const taken = new Set<string>();
  const leftOut = await readLeftOut(contents, source.settings);
  for (const chosen of choice.databases)
    tasks.push(await plan(source, session, { contents, chosen, name: destination.name, leftOut, taken }));
  if (request.overwrite) refuseUnstored(tasks);
  const steps = [
    ...tasks.flatMap((task) => describe(task, `${productName[flavour]} at ${session.place.title}`, request)),
    ...(choice.accounts
      ? [
          `make the accounts of ${accountsFile} that are not there, with their grants; those that are there stay as they are`,
        ]
      : []),
  ];
  const expected = tasks.reduce((sum, task) => sum + task.bytes, 0);
  if (request.dryRun) return { steps, bytes: expected, files: tasks.length, problems: [] };
  const open = (signal: AbortSignal) => openLoader(destination, flavour, signal);
  const isStored = await readStored(contents, leftOut);
  const done = await perform(source, session, { contents, request, tasks, isStored, open, expected });
  const problems = [...done.problems];
  if (choice.accounts) {
    const accounts = restoreAccounts(session, contents.read(`/${dumpFolder}/${accountsFile}`));
    // A failure would say that nothing was touched.
    const untold = (error: unknown): string[] => [
      `the databases are restored, the accounts are not: ${messageOf(error)}`,
    ];
    problems.push(...(await (tasks.length > 0 ? accounts.catch(untold) : accounts)));
  }
  return { steps, bytes: done.bytes, files: tasks.length, problems };
}

/** Told what a dump is loaded under. */
async function openLoader({ source, place }: Destination, flavour: Flavour, signal: AbortSignal): Promise<Session> {
  const session = await openSession({ ...source, signal }, place);
  try {
    const server = await identify(session);
    requireFlavour(server, flavour, session.place.title);
    await prepareReader(session, server);
    await prepareLoader(session);
    return session;
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
}

function destinationOf(source: Source, { target, targetSource }: RestoreRequest): Destination {
  if (targetSource) {
    const other = { ...targetSource, settings: schema.parse(targetSource.settings) };
    const place = placeOf(other.settings);
    return { source: other, place, name: place.database };
  }
  if (target === undefined) return { source, place: placeOf(source.settings), name: undefined };
  if (isUrl(target)) {
    const place = placeOf({ url: target });
    return { source: { ...source, settings: { ...source.settings, socket: undefined } }, place, name: place.database };
  }
  if (/^[a-z]+:\/\//.test(target) || target === '' || target.length > longestName) {
    throw new HoldfastError({
      code: 'restore.target-invalid',
      message: `${target} is neither a name of a database nor a URL like mysql://user@host:3306/database`,
      remedy: 'Name a database of the source’s own server, a URL (with the password of the source), or another source.',
    });
  }
  return { source, place: placeOf(source.settings), name: target };
}

function severalForOne(name: string, chosen: readonly ChosenDatabase[]): HoldfastError {
  return new HoldfastError({
    code: 'restore.target-invalid',
    message: `${chosen.length} databases cannot all become ${name}: ${chosen.map((one) => one.name).join(', ')}`,
    remedy: `Choose one: --include ${chosen[0]?.name ?? 'DATABASE'}`,
  });
}

interface Planning {
  readonly contents: SnapshotContents;
  readonly chosen: ChosenDatabase;
  /** Instead of the database's own. */
  readonly name: string | undefined;
  readonly leftOut: LeftOut;
  /** Names that others of this restore were given. */
  readonly taken: Set<string>;
}

async function plan({ clock }: Source, session: Session, planning: Planning): Promise<Task> {
  const { contents, chosen, name, leftOut, taken } = planning;
  const target = await asNamed(session, name ?? chosen.name);
  const path = `/${dumpFolder}/${dumpFileName(chosen.name)}`;
  const time = formatInstant(clock.nowMs()).slice(0, 19).replace(/[-:]/g, '').replace('T', '_');
  const beside = async (word: string): Promise<string> => {
    for (;;) {
      const suffix = `_${word}_${time}_${randomSuffix()}`;
      const candidate = [...target].slice(0, longestName - suffix.length).join('') + suffix;
      if (taken.has(candidate) || (await databaseExists(session, candidate))) continue;
      taken.add(candidate);
      return candidate;
    }
  };
  const unstored = chosen.wants ? [] : await findUnstored(session, { source: chosen.name, target, leftOut });
  return {
    ...{ chosen, path, target, unstored },
    bytes: (await contents.node(path))?.size ?? 0,
    staging: await beside('restoring'),
    aside: await beside('before'),
    present: await describePresent(session, target),
  };
}

/** As the server calls it, which is how it answers: some know names in lower case only. */
async function asNamed(session: Session, name: string): Promise<string> {
  const { folded } = await oneRow(session, 'SELECT @@lower_case_table_names AS folded');
  return folded === '1' ? name.toLowerCase() : name;
}

/** What bears it is of this restore alone, whoever restores the same database in the same second. */
function randomSuffix(): string {
  return Array.from({ length: 8 }, () => randomInt(36).toString(36)).join('');
}

function describe(
  { chosen, bytes, target, staging, aside, present, unstored }: Task,
  server: string,
  request: RestoreRequest,
): string[] {
  const what = chosen.wants ? `the chosen tables of ${chosen.name}` : `${chosen.name} (${formatBytes(bytes)} of SQL)`;
  const replaced = chosen.wants
    ? 'the present tables of these names'
    : `the ${present} present tables and views of ${target}`;
  return [
    `load ${what} into ${staging} on ${server}`,
    ...(present > 0
      ? [request.overwrite ? `drop ${replaced}` : `move ${replaced} to ${aside}, and keep them there`]
      : []),
    ...(unstored.length > 0
      ? [`leave these only in ${aside}, as the source leaves them out of its backups: ${unstored.join(', ')}`]
      : []),
    `move the restored tables to ${target}${chosen.wants ? '' : ', and make views, routines, triggers and events'}`,
  ];
}

interface Performance {
  readonly contents: SnapshotContents;
  readonly request: RestoreRequest;
  readonly tasks: readonly Task[];
  readonly isStored: (database: string, table: string) => boolean;
  readonly open: (signal: AbortSignal) => Promise<Session>;
  /** Bytes of all databases. */
  readonly expected: number;
}

/** Everything is loaded beside before anything takes its place. */
async function perform(
  { settings, signal, clock, report }: Source,
  session: Session,
  given: Performance,
): Promise<{ bytes: number; problems: readonly string[] }> {
  const { contents, request, tasks, open, expected } = given;
  if (tasks.length === 0) return { bytes: 0, problems: [] };
  const openAnyway = (): Promise<Session> => open(new AbortController().signal);
  const arrivals: Arrival[] = [];
  let bytes = 0;
  try {
    for (const task of tasks) {
      const { path, target, staging, aside, chosen } = task;
      const before = bytes;
      const progress = (done: number): void =>
        report({ type: 'progress', stage: 'restore', bytesDone: before + done, bytesTotal: expected, subject: target });
      const what = { session, contents, path, name: staging, wants: chosen.wants, parentOf: parentsOf(task, given) };
      const loaded = await loadTables({ ...what, signal, progress });
      bytes += loaded.bytes;
      arrivals.push({ target, staging, aside, whole: chosen.wants === undefined, loaded });
    }
    const problems = await swap({
      ...{ open: openAnyway, signal, clock, settings, overwrite: request.overwrite, arrivals },
    });
    return { bytes, problems: [...problems, ...tellNames(tasks, arrivals)] };
  } catch (error) {
    const targets = tasks.map(({ target }) => target).join(', ');
    const left = await removeStaging(openAnyway, tasks);
    if (left) report({ type: 'warning', code: 'restore.failed', message: left, subject: targets });
    throw explainRefusal(error, session.place, `restoring ${targets}`);
  }
}

function tellNames(tasks: readonly Task[], arrivals: readonly Arrival[]): string[] {
  return tasks.flatMap(({ chosen, target }, at) => {
    const { whole, loaded } = arrivals[at];
    return whole ? tellNamesOfSource({ source: chosen.name, target, ...loaded }) : [];
  });
}

/** A foreign key refers to the restored table where there is one, which moves with it, else to the one in the target, there or not. */
function parentsOf(task: Task, { tasks, isStored }: Pick<Performance, 'tasks' | 'isStored'>): ParentOf {
  return (database, table) => {
    const owner = database === undefined ? task : tasks.find(({ chosen }) => chosen.name === database);
    if (owner === undefined) return undefined;
    const isLoaded = (owner.chosen.wants?.(table) ?? true) && isStored(owner.chosen.name, table);
    if (owner === task && isLoaded) return quoteName(table);
    return `${quoteName(isLoaded ? owner.staging : owner.target)}.${quoteName(table)}`;
  };
}

/** What to tell if they could not be removed; the error that led here is thrown by who calls. */
async function removeStaging(
  open: () => Promise<Session>,
  tasks: readonly Pick<Task, 'staging'>[],
): Promise<string | undefined> {
  try {
    await using session = await open();
    for (const { staging } of tasks) await session.run(`DROP DATABASE IF EXISTS ${quoteName(staging)}`);
    return undefined;
  } catch (error) {
    const names = tasks.map(({ staging }) => staging).join(', ');
    return `these databases may be left behind, drop them: ${names}: ${messageOf(error)}`;
  }
}
