/** A restored copy: a server of our own loads the data, and gives all of it back as a replica would get it. */
import { HoldfastError } from '../../base/errors.ts';
import { type Check, compareFacts, type Fact, type Fingerprint } from '../../model/fingerprint.ts';
import { ErrorReply, type Reply, replyText } from '../../protocols/redis/connection.ts';
import { RdbCheck } from '../../protocols/redis/rdb-check.ts';
import { RdbReader } from '../../protocols/redis/rdb-reader.ts';
import { openReplicaStream, watchConnection } from '../../protocols/redis/replica.ts';
import type { RestoredCopy, SnapshotContents, SourceContext, Throwaway } from '../driver.ts';
import { askInfo, dumpPath } from './backup.ts';
import { splitCommand } from './command-line.ts';
import { connect, refusal } from './connect.ts';
import { openDump } from './dump.ts';
import { algorithms, FactsTaker, type Level } from './fingerprint.ts';
import { findPlace, type Place } from './programs.ts';
import { type Settings, settings } from './settings.ts';
import { startServer } from './throwaway-server.ts';

type Source = SourceContext<Settings>;

/** Up to a server that has loaded everything. Keys that expired since the backup are in it: see `throwaway-server.ts`. */
export async function restoreThrowaway(
  source: Source,
  contents: SnapshotContents,
  throwaway: Throwaway,
): Promise<RestoredCopy> {
  const dump = await openDump(contents);
  const place = await findPlace(source, dump, throwaway);
  try {
    const { bytes } = await contents.writeTree(dumpPath, place.directory, { host: place.host });
    const server = await startServer(source, place, dump.databases);
    const copy: Source = { ...source, host: place.host, settings: settings.parse({ socket: server.socketPath }) };
    return {
      bytes,
      instance: place.title,
      compare: (expected) => compare(copy, expected),
      query: (statement) => query(copy, statement),
      environment: environmentOf(place, server.socketPath),
      isApart: place.host.kind !== 'local',
      clients: ['redis-cli', 'valkey-cli', 'redis-benchmark', 'valkey-benchmark'],
      async [Symbol.asyncDispose]() {
        await server[Symbol.asyncDispose]();
        await place[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await place[Symbol.asyncDispose]();
    throw error;
  }
}

function environmentOf({ host, directory }: Place, socketPath: string): Record<string, string> {
  if (host.kind !== 'local') return {};
  return { HOLDFAST_COPY_SOCKET: socketPath, HOLDFAST_COPY_DIRECTORY: directory };
}

/** Every fact of the backup against the same fact taken from the copy, and the server's own count of its keys as a second witness. */
async function compare(copy: Source, expected: Fingerprint | undefined): Promise<Check[]> {
  const level = levelOf(expected);
  if (expected !== undefined && level === undefined) return [unknownAlgorithm(expected)];
  const taken = await takeFacts(copy, level ?? 'counts');
  const counts = await serverCounts(copy);
  if (expected === undefined) return [loaded, ...compareFacts(countsIn(taken), counts)];
  return [...compareFacts(expected.facts, taken), ...compareFacts(countsIn(expected.facts), counts)];
}

/** Without a fingerprint: the server took the data, and gives back as much as it says it has. */
const loaded: Check = { subject: 'server', measure: 'loads the data', expected: 'yes', found: 'yes', ok: true };

function levelOf(expected: Fingerprint | undefined): Level | undefined {
  const levels = Object.keys(algorithms) as Level[];
  return levels.find((level) => algorithms[level] === expected?.algorithm);
}

function unknownAlgorithm(expected: Fingerprint): Check {
  const known = Object.values(algorithms).join(' or ');
  return { subject: 'fingerprint', measure: 'algorithm', expected: expected.algorithm, found: known, ok: false };
}

async function takeFacts(copy: Source, level: Level): Promise<Fact[]> {
  const stop = new AbortController();
  await using connection = await connect(copy);
  const watch = watchConnection(connection, copy.clock, stop.signal);
  try {
    const taker = new FactsTaker(level);
    const check = new RdbCheck();
    const reader = new RdbReader(taker);
    const version = (await askInfo(copy, connection)).get('valkey_version');
    const stream = await openReplicaStream(connection, { version, refused });
    for await (const piece of stream.pieces()) {
      check.update(piece);
      reader.feed(piece);
    }
    reader.end();
    check.end();
    return taker.facts();
  } finally {
    stop.abort();
    await watch;
  }
}

function refused(command: string, reply: ErrorReply): HoldfastError {
  return refusal({ title: 'the throwaway server', user: undefined }, command, reply);
}

/** Measures that the server itself has a count of (`INFO`: `db0:keys=12,expires=3,…`), and how a check of that is called. */
const witnessed = {
  keys: 'keys, as the server counts them',
  'keys that expire': 'keys that expire, as the server counts them',
};

/** The facts the server can witness, as it would. */
function countsIn(facts: readonly Fact[]): Fact[] {
  return facts.flatMap(({ subject, measure, value }) => {
    const known = measure === 'keys' || measure === 'keys that expire';
    return known && /^database \d+$/.test(subject) ? [{ subject, measure: witnessed[measure], value }] : [];
  });
}

async function serverCounts(copy: Source): Promise<Fact[]> {
  await using connection = await connect(copy);
  const info = await askInfo(copy, connection);
  return [...info].flatMap(([name, value]) => {
    const [, index] = /^db(\d+)$/.exec(name) ?? [];
    const [, keys, expiring] = /^keys=(\d+),expires=(\d+)/.exec(value) ?? [];
    if (index === undefined || keys === undefined) return [];
    const subject = `database ${index}`;
    return [
      { subject, measure: witnessed.keys, value: keys },
      { subject, measure: witnessed['keys that expire'], value: expiring },
    ];
  });
}

/** Commands as `redis-cli` takes them, one a line (`SELECT 3`, then `GET "a key"`); the last one's answer. */
async function query(copy: Source, statement: string): Promise<string> {
  await using connection = await connect(copy);
  let answer = '';
  for (const line of statement.split('\n').filter((one) => one.trim() !== '')) {
    const reply = await connection.call(...splitCommand(line));
    if (reply instanceof ErrorReply) throw notAnswered(line, reply);
    answer = rows(reply);
  }
  return answer;
}

function notAnswered(line: string, reply: ErrorReply): HoldfastError {
  return new HoldfastError({
    code: 'drill.failed',
    message: `the restored copy answers «${line}» with: ${reply.message}`,
    remedy: 'Check the command: one a line, as redis-cli takes it.',
  });
}

function rows(reply: Reply): string {
  if (!Array.isArray(reply)) return replyText(reply);
  return reply.map((row) => (Array.isArray(row) ? row.map(replyText).join('\t') : replyText(row))).join('\n');
}
