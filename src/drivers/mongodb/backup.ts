/** All collections of a server in one state, as one archive that mongorestore takes too. */
import type { Timestamp } from 'bson';
import { HoldfastError, throwIfCancelled } from '../../base/errors.ts';
import { programVersion } from '../../base/version.ts';
import type { Fingerprint } from '../../model/fingerprint.ts';
import { crc64Xz } from '../../protocols/crc64.ts';
import {
  type ArchiveCollection,
  archivePrelude,
  collectionEnd,
  dataCollection,
  segmentEnd,
  segmentStart,
} from '../../protocols/mongodb/archive.ts';
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
import { titleOf } from './address.ts';
import type { CollectionDefinition } from './catalogue.ts';
import { type Member, openMember } from './connect.ts';
import {
  findCommand,
  findInstant,
  hasSnapshots,
  type Instant,
  type Method,
  methodFor,
  mustStillExist,
} from './consistency.ts';
import { toText } from './exact.ts';
import { algorithms, FactsTaker } from './fingerprint.ts';
import { oplogStart, readOplog } from './oplog.ts';
import { readRaw } from './read.ts';
import type { Settings } from './settings.ts';

/** Where the data lies in a snapshot. */
export const dumpFolder = 'mongodb';
export const dumpFile = 'dump.archive';
export const dumpPath = `/${dumpFolder}/${dumpFile}`;
export const sourceFactsFile = 'source.json';
/** How an archive names the oplog: a collection of no database. */
export const oplogCollection = 'oplog';

type Source = SourceContext<Settings>;

/** Errors: `host.unreachable`, `source.unreadable`, `source.unsupported`, `source.busy`, each with a remedy. */
export async function capture(source: Source): Promise<Capture> {
  const member = await openMember(source);
  try {
    const method = methodFor(source.settings, member);
    const start = method === 'oplog' ? await oplogStart(source, member) : undefined;
    const instant = await findInstant(source, member);
    const bytesTotal = await expectedBytes(member, instant);
    return present(new Taking({ source, member, method, instant, ...(start && { start }) }), bytesTotal);
  } catch (error) {
    await member[Symbol.asyncDispose]();
    throwIfCancelled(source.signal);
    throw error;
  }
}

/** Without the right to ask, progress has no total. */
async function expectedBytes(member: Member, { catalogue }: Instant): Promise<number | undefined> {
  let sum = 0;
  for (const database of new Set(catalogue.map((one) => one.database))) {
    const stats = await member.client
      .db(database)
      .command({ dbStats: 1 })
      .catch(() => undefined);
    if (stats === undefined) return undefined;
    sum += Number(stats.dataSize);
  }
  return sum;
}

interface Plan {
  readonly source: Source;
  readonly member: Member;
  readonly method: Method;
  readonly instant: Instant;
  /** From where on the oplog is stored. */
  readonly start?: Timestamp;
}

/** The archive on its way into the repository; facts are taken from the documents as they pass. */
class Taking {
  readonly plan: Plan;
  readonly facts: FactsTaker | undefined;
  /** Settles when the last byte has passed, or none will come any more. */
  readonly passed: Promise<void>;
  isComplete = false;
  oplogEntries = 0;
  readonly #settle: { resolve: () => void; reject: (error: unknown) => void };

  constructor(plan: Plan) {
    this.plan = plan;
    const { fingerprint } = plan.source.settings;
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
    const { source, member, instant, start } = this.plan;
    try {
      yield archivePrelude(
        { serverVersion: member.version, toolVersion: `holdfast ${programVersion}` },
        announced(this.plan),
      );
      for (const definition of instant.catalogue) {
        if (definition.kind !== 'view') yield* this.#collection(definition);
      }
      if (start) yield* this.#oplog(start);
      else await mustStillExist(source, member, instant.catalogue);
      this.isComplete = true;
      this.#settle.resolve();
    } catch (error) {
      this.#settle.reject(error);
      throwIfCancelled(source.signal);
      throw error;
    } finally {
      this.abandon();
    }
  }

  #collection(definition: CollectionDefinition): AsyncGenerator<Uint8Array> {
    const { source, member, method, instant } = this.plan;
    const { database } = definition;
    const collection = dataCollection({ collection: definition.name, kind: definition.kind });
    const command = findCommand(collection, definition, method, instant.time);
    const doing = `to read ${database}.${collection}`;
    const batches = readRaw(member, { database, command, doing, signal: source.signal });
    return this.#segments(database, collection, batches, (documents) =>
      this.facts?.add(database, collection, documents),
    );
  }

  #oplog(start: Timestamp): AsyncGenerator<Uint8Array> {
    const { source, member } = this.plan;
    return this.#segments('', oplogCollection, readOplog(source, member, start), (entries) => {
      this.oplogEntries += entries.length;
    });
  }

  async *#segments(
    database: string,
    collection: string,
    batches: AsyncIterable<Buffer[]>,
    see: (documents: readonly Buffer[]) => void,
  ): AsyncGenerator<Uint8Array> {
    const crc = crc64Xz();
    let hasBegun = false;
    for await (const documents of batches) {
      throwIfCancelled(this.plan.source.signal);
      if (!hasBegun) yield segmentStart(database, collection);
      hasBegun = true;
      const bytes = Buffer.concat(documents);
      crc.update(bytes);
      see(documents);
      yield bytes;
    }
    if (hasBegun) yield segmentEnd();
    yield collectionEnd(database, collection, crc.value());
  }
}

function announced({ instant, start }: Plan): ArchiveCollection[] {
  const collections = instant.catalogue.map(({ database, name, kind, uuid, options, indexes }): ArchiveCollection => {
    const metadata = { options, indexes, ...(uuid && { uuid }), collectionName: name, type: kind };
    return { database, collection: name, kind, metadata: toText(metadata) };
  });
  const oplog: ArchiveCollection = { database: '', collection: oplogCollection, kind: 'collection', metadata: '' };
  return start ? [...collections, oplog] : collections;
}

function present(taking: Taking, bytesTotal: number | undefined): Capture {
  const { source, member } = taking.plan;
  const atMs = source.clock.nowMs();
  const attributes = { ...madeAttributes(dumpFile, 'file', atMs), size: bytesTotal ?? 0 };
  const dump = streamEntry(attributes, { cut: 'content' }, () => taking.bytes());
  const about = async (): Promise<string> => {
    await taking.passed;
    return JSON.stringify(sourceFacts(taking), null, 2);
  };
  const fingerprint = async (): Promise<string> => {
    await taking.passed;
    return JSON.stringify(fingerprintOf(taking, atMs));
  };
  const texts = { ...(taking.facts && { 'fingerprint.json': fingerprint }), [sourceFactsFile]: about };
  return {
    paths: [titleOf(source.settings)],
    root: rootEntry([madeDirectory(dumpFolder, [dump], atMs), factsEntry(atMs, texts)], atMs),
    ...(bytesTotal !== undefined && { bytesTotal }),
    complete: async () => {
      if (!taking.isComplete) throw notRead();
    },
    notes: () => notes(taking.plan),
    [Symbol.asyncDispose]: async () => {
      taking.abandon();
      await member[Symbol.asyncDispose]();
    },
  };
}

function fingerprintOf({ plan, facts }: Taking, atMs: number): Fingerprint {
  const { fingerprint: level } = plan.source.settings;
  const algorithm = algorithms[level === 'counts' ? 'counts' : 'full'];
  return { format: 1, driver: 'mongodb', algorithm, takenAtMs: atMs, facts: facts!.facts(plan.instant.catalogue) };
}

/** What a restore has to know without reading the data, and what people ask. */
export interface SourceFacts {
  readonly server: string;
  readonly version: string;
  readonly method: Method;
  readonly [other: string]: unknown;
}

function sourceFacts({ plan, oplogEntries }: Taking): SourceFacts {
  const { source, member, method, instant, start } = plan;
  return {
    server: titleOf(source.settings),
    version: member.version,
    method,
    role: member.role,
    ...(member.setName && { replicaSet: member.setName }),
    ...(instant.time && { clusterTime: timeText(instant.time) }),
    ...(start && { oplogFrom: timeText(start), oplogEntries }),
  };
}

/** Seconds since the epoch and a counter, as `Timestamp(1700000000, 1)` has them. */
function timeText(time: Timestamp): string {
  return `${time.getHighBitsUnsigned()}.${time.getLowBitsUnsigned()}`;
}

function notes({ method, instant, member }: Plan): string[] {
  const all: string[] = [];
  const many = instant.catalogue.filter(({ kind }) => kind !== 'view').length > 1;
  if (method === 'none' && many) {
    const why =
      member.role === 'standalone'
        ? 'the server is not in a replica set, so it offers no common instant'
        : 'as the source asks for';
    all.push(`the collections are not all of one instant: each is as it was when it was read (${why})`);
  }
  const capped = instant.catalogue.filter(
    (one) => method === 'snapshot' && one.database !== 'admin' && !hasSnapshots(one),
  );
  if (capped.length > 0) {
    const names = capped.map(({ database, name }) => `${database}.${name}`).join(', ');
    all.push(`capped collections have no former states to read: as they were a moment after the others: ${names}`);
  }
  return all;
}

function notRead(): HoldfastError {
  return new HoldfastError({
    code: 'source.unreadable',
    message: 'the data of the server was not read to its end',
    remedy: 'Back the source up again.',
    retry: 'later',
  });
}
