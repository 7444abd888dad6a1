/**
 * Restores into a running server, key by key with RESTORE, as exact as the server's own replication. What is there is never
 * mixed with what comes back: where all keys of a database are restored and it holds some, they are loaded into an empty
 * database first, and change places with what is there in one step (SWAPDB) when they are complete.
 */
import { HoldfastError } from '../../base/errors.ts';
import { type Connection, ErrorReply, type Reply } from '../../protocols/redis/connection.ts';
import { dumpPayload } from '../../protocols/redis/dump-payload.ts';
import { keyTitle, type RdbKey, type RdbVisitor } from '../../protocols/redis/rdb-reader.ts';
import { watchConnection } from '../../protocols/redis/replica.ts';
import type { RestoreOutcome, RestoreRequest, SnapshotContents, SourceContext } from '../driver.ts';
import { connect, refusal } from './connect.ts';
import { type Command, Pipeline } from './pipeline.ts';
import { type Choose, chooser, isPart, planRestore, type RestorePlan, readDump } from './restore-plan.ts';
import { accepted, examineTarget, mustBeOk, type Target } from './restore-target.ts';
import type { Settings } from './settings.ts';

type Source = SourceContext<Settings>;

interface Work {
  readonly source: Source;
  readonly contents: SnapshotContents;
  readonly request: RestoreRequest;
  readonly choose: Choose;
  readonly plan: RestorePlan;
  readonly target: Target;
  /** Where keys of a database go while they are not complete, if not straight there. */
  readonly aside: ReadonlyMap<number, number>;
}

/** Errors: `restore.target-exists`, `restore.target-invalid` before anything is touched; `restore.failed` with what was done by then. */
export async function restoreToServer(
  source: Source,
  contents: SnapshotContents,
  request: RestoreRequest,
): Promise<RestoreOutcome> {
  const choose = chooser(request, source.clock.nowMs());
  const plan = await planRestore(source, contents, choose);
  await using connection = await connect(source);
  await using _watch = watching(source, connection);
  const target = await examineTarget(source, connection, plan);
  const aside = isPart(request) ? new Map<number, number>() : chooseAside(target, plan, request);
  const work: Work = { source, contents, request, choose, plan, target, aside };
  if (isPart(request) && !request.overwrite) await refuseExisting(work);
  const steps = describe(work);
  if (request.dryRun) return { steps, bytes: 0, files: 0, problems: [] };
  const { bytes, problems } = await load(work);
  await changePlaces(work);
  return { steps, bytes, files: 1, problems };
}

/** Everything up to the last step. What was loaded beside is of no use if it is not complete. */
async function load(work: Work): Promise<{ bytes: number; problems: string[] }> {
  try {
    const bytes = await restoreKeys(work);
    await checkCounts(work);
    return { bytes, problems: isPart(work.request) ? [] : await restoreFunctions(work) };
  } catch (error) {
    await clearAside(work);
    throw error;
  }
}

function watching(source: Source, connection: Connection): AsyncDisposable {
  const stop = new AbortController();
  const watch = watchConnection(connection, source.clock, stop.signal);
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await watch;
    },
  };
}

/** An empty database for each that holds keys; neither the data nor the server's own keys may need it. */
function chooseAside(target: Target, plan: RestorePlan, request: RestoreRequest): Map<number, number> {
  const aside = new Map<number, number>();
  const isFree = (index: number): boolean => !target.keys.has(index) && !plan.databases.has(index);
  const free = Array.from({ length: target.databases }, (_, i) => target.databases - 1 - i).filter(isFree);
  for (const index of plan.databases.keys()) {
    if (!target.keys.has(index)) continue;
    const place = free.shift();
    if (place === undefined) throw noRoom(target, index, request);
    aside.set(index, place);
  }
  return aside;
}

function noRoom({ title, keys, databases }: Target, index: number, { overwrite }: RestoreRequest): HoldfastError {
  const flush = overwrite
    ? `empty database ${index} yourself with FLUSHDB`
    : `keep a copy by backing ${title} up, then empty database ${index} with FLUSHDB`;
  return new HoldfastError({
    code: 'restore.target-exists',
    message: `database ${index} of ${title} holds ${keys.get(index)} keys, and none of its ${databases} databases is empty to load the others beside them`,
    remedy: `Raise «databases» of the server, or ${flush}; or restore chosen keys with --include, or into another server or a directory.`,
  });
}

function describe(work: Work): string[] {
  const { plan, target, aside, request } = work;
  const steps = [...plan.databases].toSorted(([a], [b]) => a - b).flatMap(([index]) => describeDatabase(work, index));
  if (plan.databases.size === 0) steps.push('restore no key: none is chosen');
  if (plan.libraries > 0 && !isPart(request)) steps.push(`load the libraries of functions: ${plan.libraries}`);
  if (plan.moduleKeys > 0) steps.push(`${count(plan.moduleKeys)} need the module that wrote them on the server`);
  for (const [index, place] of aside) {
    steps.push(`swap database ${index} with ${place} in one step`);
    if (request.overwrite) steps.push(`remove the ${count(target.keys.get(index)!)} that were in database ${index}`);
    else steps.push(keptAside(target, index, place));
  }
  return steps;
}

function describeDatabase({ plan, target, aside, request }: Work, index: number): string[] {
  const { keys, expiring, expired } = plan.databases.get(index)!;
  const into = `database ${aside.get(index) ?? index} of ${target.title}`;
  const some = expiring > 0 ? ` (${expiring} that will expire)` : '';
  const replaces = isPart(request) && request.overwrite ? ', replacing keys of the same name' : '';
  const left = expired > 0 ? [`leave out ${count(expired)} whose time has passed since the backup`] : [];
  return [`restore ${count(keys)}${some} into ${into}${replaces}`, ...left];
}

function keptAside({ keys }: Target, index: number, place: number): string {
  return `what was in database ${index} (${count(keys.get(index)!)}) is kept in database ${place}: FLUSHDB there when it is not needed`;
}

function count(keys: number): string {
  return keys === 1 ? '1 key' : `${keys} keys`;
}

/** Chosen keys go beside others: none of them may be there. */
async function refuseExisting(work: Work): Promise<void> {
  const { target, choose, contents, source } = work;
  const there: string[] = [];
  let count = 0;
  const asking = new Sending(work, (key) => ({
    parts: ['EXISTS', key.name],
    about: keyTitle(key),
    reply: (reply: Reply) => {
      if (reply === 0) return;
      count++;
      if (there.length < 5) there.push(keyTitle(key));
    },
  }));
  const visitor: RdbVisitor = {
    key: () => undefined,
    keyEnd: (key) => {
      if (choose(key) === 'restore') asking.add(key, key.database);
    },
  };
  await readDump(source.signal, contents, visitor, () => asking.flush());
  await asking.finish();
  if (count === 0) return;
  throw new HoldfastError({
    code: 'restore.target-exists',
    message: `${count} of the chosen keys are in ${target.title} already: ${there.join(', ')}${count > there.length ? ', …' : ''}`,
    remedy: 'Restore into another server and look at them there, or replace them with --overwrite.',
  });
}

async function restoreKeys(work: Work): Promise<number> {
  const { source, contents, choose, request, aside } = work;
  let bytes = 0;
  const replace = isPart(request) && request.overwrite ? ['REPLACE'] : [];
  const sending = new Sending(work, (key, raw) => {
    const payload = dumpPayload(key.type, raw!, key.since);
    const expiry = key.expiresAtMs === undefined ? ['0'] : [String(key.expiresAtMs), 'ABSTTL'];
    const [ttl, ...flags] = expiry;
    return { parts: ['RESTORE', key.name, ttl, payload, ...flags, ...replace], about: keyTitle(key) };
  });
  const visitor: RdbVisitor = {
    key: (key) => (choose(key) === 'restore' ? 'raw' : undefined),
    keyEnd: (key, length, raw) => {
      if (raw === undefined) return;
      bytes += length;
      sending.add(key, aside.get(key.database) ?? key.database, raw);
    },
  };
  await readDump(source.signal, contents, visitor, () => sending.flush());
  await sending.finish();
  return bytes;
}

/** Commands about keys, in the databases they belong to. */
class Sending {
  readonly #pipeline: Pipeline;
  readonly #command: (key: RdbKey, raw: Uint8Array | undefined) => Command;
  #queue: Command[] = [];
  #selected = -1;

  constructor({ target, aside }: Work, command: (key: RdbKey, raw: Uint8Array | undefined) => Command) {
    this.#command = command;
    this.#pipeline = new Pipeline(target.connection, (refused, reply) => notRestored(target, aside, refused, reply));
  }

  /** Queued until `flush`: the reader that calls this cannot wait. */
  add(key: RdbKey, database: number, raw?: Uint8Array): void {
    if (database !== this.#selected) this.#queue.push({ parts: ['SELECT', database], about: `database ${database}` });
    this.#selected = database;
    this.#queue.push(this.#command(key, raw));
  }

  async flush(): Promise<void> {
    const queue = this.#queue;
    this.#queue = [];
    for (const command of queue) await this.#pipeline.send(command);
  }

  async finish(): Promise<void> {
    await this.flush();
    await this.#pipeline.finish();
  }
}

function notRestored(
  target: Target,
  aside: ReadonlyMap<number, number>,
  { about }: Command,
  reply: ErrorReply,
): HoldfastError {
  if (reply.kind === 'NOPERM') return refusal(target, 'RESTORE', reply);
  const left = aside.size > 0 ? 'What was there is untouched' : 'What was restored before it stays there';
  const reason = /bad data format/i.test(reply.message)
    ? `${reply.message} (a module it needs may be missing)`
    : reply.message;
  return new HoldfastError({
    code: 'restore.failed',
    message: `${target.title} does not take ${about}: ${reason}`,
    remedy: `${left}. ${/^OOM/.test(reply.message) ? 'Raise maxmemory.' : 'Look at the log of the server; leave the key out with --exclude, or restore into a directory.'}`,
  });
}

/** The databases were empty before. */
async function clearAside({ target, aside, source }: Work): Promise<void> {
  if (aside.size === 0) return;
  try {
    // A connection of its own: replies to what was sent ahead are still to come on the other.
    await using connection = await connect({ ...source, signal: new AbortController().signal });
    for (const index of aside.values()) {
      await mustBeOk({ ...target, connection }, 'SELECT', index);
      await mustBeOk({ ...target, connection }, 'FLUSHDB');
    }
  } catch {
    source.report({
      type: 'warning',
      code: 'restore.failed',
      message: `database(s) ${[...aside.values()].join(', ')} of ${target.title} hold a part of the restored keys: FLUSHDB there`,
    });
  }
}

/** Nobody else knows of a database that was empty: there the count is exact, but for keys that expired meanwhile. */
async function checkCounts(work: Work): Promise<void> {
  const { plan, target, aside, request } = work;
  if (isPart(request)) return;
  for (const [index, { keys, expiring }] of plan.databases) {
    const place = aside.get(index) ?? index;
    await mustBeOk(target, 'SELECT', place);
    const found = Number(await accepted(target, 'DBSIZE'));
    if (found >= keys - expiring && (found <= keys || !aside.has(index))) continue;
    throw new HoldfastError({
      code: 'restore.failed',
      message: `database ${place} of ${target.title} holds ${found} keys after ${keys} were restored`,
      remedy: 'Look for programs that write to it or for an eviction policy (maxmemory-policy), and restore again.',
    });
  }
}

/** A library of the same name that is there stays, unless told otherwise. */
async function restoreFunctions({ source, contents, target, plan, request }: Work): Promise<string[]> {
  if (plan.libraries === 0) return [];
  const libraries: Uint8Array[] = [];
  await readDump(source.signal, contents, { library: (code) => libraries.push(code) });
  const problems: string[] = [];
  for (const code of libraries) {
    const reply = await target.connection.call('FUNCTION', 'LOAD', ...(request.overwrite ? ['REPLACE'] : []), code);
    if (!(reply instanceof ErrorReply)) continue;
    const name = /name=(\S+)/.exec(Buffer.from(code.subarray(0, 200)).toString('utf8'))?.[1] ?? 'a library';
    problems.push(`the library ${name} was not loaded: ${reply.message}`);
  }
  return problems;
}

async function changePlaces({ target, aside, request, source }: Work): Promise<void> {
  for (const [index, place] of aside) {
    await mustBeOk(target, 'SWAPDB', index, place);
    if (request.overwrite) {
      await mustBeOk(target, 'SELECT', place);
      await mustBeOk(target, 'FLUSHDB');
    } else source.report({ type: 'note', message: keptAside(target, index, place) });
  }
}
