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
import { type Aside, changePlaces, chooseAside, clearAside, count, keptAside, nothingAside } from './restore-aside.ts';
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
  readonly aside: Aside;
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
  const aside = isPart(request) ? nothingAside() : await chooseAside(target, plan, request);
  const work: Work = { source, contents, request, choose, plan, target, aside };
  if (isPart(request) && !request.overwrite) await refuseExisting(work);
  const steps = describe(work);
  if (request.dryRun) return { steps, bytes: 0, files: 0, problems: [] };
  const { bytes, problems } = await load(work);
  await changePlaces(work);
  return { steps, bytes, files: 1, problems };
}

/** Everything up to the last step. */
async function load(work: Work): Promise<{ bytes: number; problems: string[] }> {
  try {
    const bytes = await restoreKeys(work);
    await checkCounts(work);
    return { bytes, problems: isPart(work.request) ? [] : await restoreFunctions(work) };
  } catch (error) {
    await clearAside(work, error);
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

function describe(work: Work): string[] {
  const { plan, target, aside, request } = work;
  const steps = [...plan.databases].toSorted(([a], [b]) => a - b).flatMap(([index]) => describeDatabase(work, index));
  if (plan.databases.size === 0) steps.push('restore no key: none is chosen');
  if (plan.libraries > 0 && !isPart(request)) steps.push(`load the libraries of functions: ${plan.libraries}`);
  if (plan.moduleKeys > 0) steps.push(`${count(plan.moduleKeys)} need the module that wrote them on the server`);
  for (const [index, place] of aside.places) {
    steps.push(`swap database ${index} with ${place} in one step`);
    if (request.overwrite) steps.push(`remove the ${count(target.keys.get(index)!)} that were in database ${index}`);
    else steps.push(keptAside(target, index, place));
  }
  return isPart(request) ? steps : [...steps, ...untouched(work)];
}

/** A server that was told to go back to a snapshot still holds what came into other databases since. */
function untouched({ plan, target }: Work): string[] {
  const others = [...target.keys].filter(([index]) => !plan.databases.has(index)).toSorted(([a], [b]) => a - b);
  return others.map(
    ([index, keys]) => `leave database ${index} as it is (${count(keys)}): the snapshot has none in it`,
  );
}

function describeDatabase({ plan, target, aside, request }: Work, index: number): string[] {
  const { keys, expiring, expired } = plan.databases.get(index)!;
  const into = `database ${aside.places.get(index) ?? index} of ${target.title}`;
  const some = expiring > 0 ? ` (${expiring} that will expire)` : '';
  const replaces = isPart(request) && request.overwrite ? ', replacing keys of the same name' : '';
  const left = expired > 0 ? [`leave out ${count(expired)} whose time has passed since the backup`] : [];
  return [`restore ${count(keys)}${some} into ${into}${replaces}`, ...left];
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
      const place = aside.places.get(key.database) ?? key.database;
      sending.add(key, place, raw);
      aside.sent.set(place, (aside.sent.get(place) ?? 0) + 1);
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

function notRestored(target: Target, aside: Aside, { about }: Command, reply: ErrorReply): HoldfastError {
  if (reply.kind === 'NOPERM') return refusal(target, 'RESTORE', reply);
  const left = aside.places.size > 0 ? 'What was there is untouched' : 'What was restored before it stays there';
  const reason = /bad data format/i.test(reply.message)
    ? `${reply.message} (a module it needs may be missing)`
    : reply.message;
  return new HoldfastError({
    code: 'restore.failed',
    context: { reply: reply.message.slice(0, 300) },
    message: `${target.title} does not take ${about}: ${reason}`,
    remedy: `${left}. ${/^OOM/.test(reply.message) ? 'Raise maxmemory.' : 'Look at the log of the server; leave the key out with --exclude, or restore into a directory.'}`,
  });
}

/** Nobody else knows of a database that was empty: there the count is exact, but for keys that went meanwhile as their time came. */
async function checkCounts(work: Work): Promise<void> {
  const { plan, target, aside, request } = work;
  if (isPart(request)) return;
  for (const [index, { keys, fading }] of plan.databases) {
    const place = aside.places.get(index) ?? index;
    await mustBeOk(target, 'SELECT', place);
    const found = Number(await accepted(target, 'DBSIZE'));
    if (found >= keys - fading && (found <= keys || !aside.places.has(index))) continue;
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
