/** All data of a server in one state, as the server gives it to a replica. */
import { HoldfastError, throwIfCancelled } from '../../base/errors.ts';
import type { Fingerprint } from '../../model/fingerprint.ts';
import { type Connection, ErrorReply, replyText } from '../../protocols/redis/connection.ts';
import { RdbCheck } from '../../protocols/redis/rdb-check.ts';
import { RdbReader } from '../../protocols/redis/rdb-reader.ts';
import { openReplicaStream, parseInfo, type ReplicaStream, watchConnection } from '../../protocols/redis/replica.ts';
import type { Capture, SourceContext } from '../driver.ts';
import {
  type ByteStream,
  factsEntry,
  madeAttributes,
  madeDirectory,
  rootEntry,
  streamEntry,
  streamOf,
} from '../entries.ts';
import { connect, placeOf, refusal } from './connect.ts';
import { algorithms, FactsTaker } from './fingerprint.ts';
import type { Settings } from './settings.ts';

/** Where the data lies in a snapshot. */
export const dumpFolder = 'redis';
export const dumpFile = 'dump.rdb';
export const dumpPath = `/${dumpFolder}/${dumpFile}`;
export const sourceFactsFile = 'source.json';

type Source = SourceContext<Settings>;
/** What the server says of itself; little if the user may not ask. */
export type ServerInfo = ReadonlyMap<string, string>;

/** Errors: `host.unreachable`, `source.unreadable`, `source.unsupported`, `source.busy`, each with a remedy. */
export async function capture(source: Source): Promise<Capture> {
  const connection = await connect(source);
  const stop = new AbortController();
  const watch = watchConnection(connection, source.clock, stop.signal);
  const release = async (): Promise<void> => {
    stop.abort();
    await connection[Symbol.asyncDispose]();
    await watch;
  };
  try {
    const info = await askInfo(source, connection);
    const place = placeOf(source.settings);
    const refused = (command: string, reply: ErrorReply) => refusal(place, command, reply);
    const stream = await openReplicaStream(connection, { version: info.get('valkey_version'), refused });
    return present(source, new Taking(source, info, stream), release);
  } catch (error) {
    await release();
    throwIfCancelled(source.signal);
    throw error;
  }
}

/** What `INFO` says; of a user who may not ask, the little that `HELLO` tells everybody (6.0 and newer), by the same names. */
export async function askInfo(source: Source, connection: Connection): Promise<ServerInfo> {
  const reply = await connection.call('INFO');
  if (!(reply instanceof ErrorReply)) return parseInfo(reply);
  if (reply.kind !== 'NOPERM') throw refusal(placeOf(source.settings), 'INFO', reply);
  const greeting = await connection.call('HELLO');
  if (!Array.isArray(greeting)) return new Map();
  const facts = new Map(
    greeting.flatMap((name, i) => (i % 2 === 0 ? [[replyText(name), replyText(greeting[i + 1])]] : [])) as [
      string,
      string,
    ][],
  );
  const version = facts.get('version') ?? '';
  return new Map([
    ['redis_version', version],
    ...(facts.get('server') === 'valkey' ? ([['valkey_version', version]] as const) : []),
    ['cluster_enabled', facts.get('mode') === 'cluster' ? '1' : '0'],
    ['role', facts.get('role') === 'replica' ? 'slave' : 'master'],
  ]);
}

/** The bytes on their way into the repository: checked, and read for the fingerprint, as they pass. */
class Taking {
  readonly info: ServerInfo;
  readonly stream: ReplicaStream;
  readonly facts: FactsTaker | undefined;
  /** Settles when the last byte has passed, or none will come any more. */
  readonly passed: Promise<void>;
  isChecksummed = true;
  isComplete = false;
  readonly #source: Source;
  readonly #settle: { resolve: () => void; reject: (error: unknown) => void };

  constructor(source: Source, info: ServerInfo, stream: ReplicaStream) {
    this.#source = source;
    this.info = info;
    this.stream = stream;
    const { fingerprint } = source.settings;
    this.facts = fingerprint === 'off' ? undefined : new FactsTaker(fingerprint);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.passed = promise;
    this.#settle = { resolve, reject };
    // Who reads the stream has the error too; nobody has to wait here.
    promise.catch(() => undefined);
  }

  bytes(): ByteStream {
    return streamOf(this.#pieces());
  }

  /** No byte will pass any more. */
  abandon(): void {
    this.#settle.reject(notRead());
  }

  async *#pieces(): AsyncGenerator<Uint8Array> {
    const check = new RdbCheck();
    const reader = this.facts && new RdbReader(this.facts);
    try {
      for await (const piece of this.stream.pieces()) {
        throwIfCancelled(this.#source.signal);
        check.update(piece);
        reader?.feed(piece);
        yield piece;
      }
      reader?.end();
      this.isChecksummed = check.end();
      this.isComplete = true;
      this.#settle.resolve();
    } catch (error) {
      this.#settle.reject(error);
      throwIfCancelled(this.#source.signal);
      throw error;
    } finally {
      this.abandon();
    }
  }
}

function present(source: Source, taking: Taking, release: () => Promise<void>): Capture {
  const atMs = source.clock.nowMs();
  const { facts } = taking;
  const { fingerprint: level } = source.settings;
  const attributes = { ...madeAttributes(dumpFile, 'file', atMs), size: taking.stream.length ?? 0 };
  const dump = streamEntry(attributes, { cut: 'content' }, () => taking.bytes());
  const fingerprint = async (): Promise<string> => {
    await taking.passed;
    const algorithm = algorithms[level === 'counts' ? 'counts' : 'full'];
    const taken: Fingerprint = { format: 1, driver: 'redis', algorithm, takenAtMs: atMs, facts: facts!.facts() };
    return JSON.stringify(taken);
  };
  const about = async (): Promise<string> => {
    await taking.passed;
    return JSON.stringify(sourceFacts(source, taking), null, 2);
  };
  const texts = { ...(facts && { 'fingerprint.json': fingerprint }), [sourceFactsFile]: about };
  return {
    paths: [placeOf(source.settings).title],
    root: rootEntry([madeDirectory(dumpFolder, [dump], atMs), factsEntry(atMs, texts)], atMs),
    bytesTotal: taking.stream.length,
    complete: async () => {
      if (!taking.isComplete) throw notRead();
    },
    notes: () => notes(taking),
    [Symbol.asyncDispose]: async () => {
      taking.abandon();
      await release();
    },
  };
}

function notRead(): HoldfastError {
  return new HoldfastError({
    code: 'source.unreadable',
    message: 'the data of the server was not read to its end',
    remedy: 'Back the source up again.',
    retry: 'later',
  });
}

/** What a restore has to know without reading the data, and what people ask. */
export interface SourceFacts {
  readonly server: string;
  readonly product: 'redis' | 'valkey';
  readonly version?: string;
  readonly rdbVersion?: number;
  /** One more than the highest number of a database that holds keys. */
  readonly databases?: number;
  readonly replicationId: string;
  readonly replicationOffset: string;
  readonly [other: string]: unknown;
}

function sourceFacts(source: Source, { info, facts, stream, isChecksummed }: Taking): SourceFacts {
  const product = info.get('server_name') ?? facts?.rdb?.product ?? 'redis';
  const valkey = info.get('valkey_version') ?? facts?.notes.get('valkey-ver');
  return {
    server: placeOf(source.settings).title,
    product: product === 'valkey' || valkey !== undefined ? 'valkey' : 'redis',
    version: valkey ?? info.get('redis_version') ?? facts?.notes.get('redis-ver'),
    rdbVersion: facts?.rdb?.version,
    databases: facts && Math.max(0, ...facts.databases.keys()) + 1,
    ...(info.has('role') && { role: info.get('role') === 'slave' ? 'replica' : 'primary' }),
    ...(info.get('cluster_enabled') === '1' && { cluster: true }),
    checksum: isChecksummed,
    replicationId: stream.replicationId,
    replicationOffset: stream.offset,
  };
}

function notes({ info, facts, isChecksummed }: Taking): string[] {
  const all: string[] = [];
  if (info.get('cluster_enabled') === '1') {
    all.push('this is one node of a cluster: the snapshot holds the slots of this node, back up every primary');
  }
  if (!isChecksummed) {
    all.push('the server writes no checksum (rdbchecksum no): only the structure of the data was checked');
  }
  const modules = facts?.moduleKeys() ?? 0;
  if (modules > 0) all.push(`${modules} key(s) of modules are stored, but drills do not compare their values`);
  return all;
}
