/**
 * Streams: entries in listpacks, then counters, consumer groups, who has what pending. Three versions; what an older one does
 * not say is filled in as a newer server does when it loads it, so that a copy in a newer server means the same.
 * Sources: rdb.c, t_stream.c and stream.h of Redis 7.4.
 */
import { view } from '../../base/bytes.ts';
import { malformed } from './malformed.ts';
import { listpackElements } from './packed-lists.ts';
import {
  type RdbInput,
  readCount,
  readMilliseconds,
  readString,
  readUnsigned,
  type Steps,
  skipString,
} from './rdb-input.ts';

export interface StreamId {
  readonly ms: bigint;
  readonly sequence: bigint;
}

export interface StreamCounters {
  readonly length: bigint;
  readonly lastId: StreamId;
  readonly firstId: StreamId;
  readonly maxDeletedId: StreamId;
  readonly entriesAdded: bigint;
}

export interface StreamGroup {
  readonly name: Uint8Array;
  readonly lastId: StreamId;
  /** 2^64 - 1 if the server does not know. */
  readonly entriesRead: bigint;
}

export interface StreamConsumer {
  readonly name: Uint8Array;
  readonly seenMs: bigint;
  readonly activeMs: bigint;
}

/** Receives a stream in this order: entries, counters, then each group with what is pending in it, and its consumers with what they own. */
export interface StreamSink {
  /** Fields and values in turn. */
  entry(id: StreamId, fields: readonly Uint8Array[]): void;
  counters(counters: StreamCounters): void;
  group(group: StreamGroup): void;
  /** `id`: 16 bytes as the server writes it. */
  pending(id: Uint8Array, deliveredMs: bigint, deliveries: bigint): void;
  consumer(consumer: StreamConsumer): void;
  /** One of what is pending belongs to the consumer that came last. */
  owned(id: Uint8Array): void;
}

type Version = 1 | 2 | 3;

const idBytes = 16;
const zero: StreamId = { ms: 0n, sequence: 0n };
const unknownCount = (1n << 64n) - 1n;

export function* readStream(input: RdbInput, sink: StreamSink, version: Version): Steps<void> {
  const packs = yield* readCount(input);
  let first: StreamId = zero;
  let seen = 0;
  for (let i = 0; i < packs; i++) {
    const key = yield* readString(input);
    if (key.length !== idBytes) throw malformed('a part of a stream has no id');
    const bytes = yield* readString(input);
    for (const { id, fields } of packEntries(rawId(key), bytes)) {
      if (seen++ === 0) first = id;
      sink.entry(id, fields);
    }
  }
  const counters = yield* readCounters(input, version, first);
  sink.counters(counters);
  const groups = yield* readCount(input);
  for (let i = 0; i < groups; i++) yield* readGroup(input, sink, version, counters);
}

function* readCounters(input: RdbInput, version: Version, first: StreamId): Steps<StreamCounters> {
  const length = yield* readUnsigned(input);
  const lastId = yield* readId(input);
  if (version === 1) return { length, lastId, firstId: first, maxDeletedId: zero, entriesAdded: length };
  const storedFirstId = yield* readId(input);
  // Of an empty stream it means nothing, and servers disagree about what to write.
  const firstId = length === 0n ? zero : storedFirstId;
  const maxDeletedId = yield* readId(input);
  return { length, lastId, firstId, maxDeletedId, entriesAdded: yield* readUnsigned(input) };
}

function* readGroup(input: RdbInput, sink: StreamSink, version: Version, counters: StreamCounters): Steps<void> {
  const name = yield* readString(input);
  const lastId = yield* readId(input);
  const entriesRead = version === 1 ? estimateRead(counters, lastId) : yield* readUnsigned(input);
  sink.group({ name, lastId, entriesRead });
  const pending = yield* readCount(input);
  for (let i = 0; i < pending; i++) {
    yield* input.need(idBytes);
    const id = input.take(idBytes);
    const deliveredMs = yield* readMilliseconds(input);
    sink.pending(id, deliveredMs, yield* readUnsigned(input));
  }
  const consumers = yield* readCount(input);
  for (let i = 0; i < consumers; i++) yield* readConsumer(input, sink, version);
}

function* readConsumer(input: RdbInput, sink: StreamSink, version: Version): Steps<void> {
  const name = yield* readString(input);
  const seenMs = yield* readMilliseconds(input);
  const activeMs = version === 3 ? yield* readMilliseconds(input) : seenMs;
  sink.consumer({ name, seenMs, activeMs });
  const owned = yield* readCount(input);
  for (let i = 0; i < owned; i++) {
    yield* input.need(idBytes);
    sink.owned(input.take(idBytes));
  }
}

/** How far a group has come, where the file does not say (version 1, nothing ever deleted): known at the ends only. */
function estimateRead({ length, lastId, firstId, entriesAdded }: StreamCounters, at: StreamId): bigint {
  if (entriesAdded === 0n) return 0n;
  if (length === 0n && compareIds(at, lastId) < 1) return entriesAdded;
  const toLast = compareIds(at, lastId);
  if (toLast === 0) return entriesAdded;
  if (toLast > 0) return unknownCount;
  const toFirst = compareIds(at, firstId);
  if (toFirst < 0) return entriesAdded - length;
  return toFirst === 0 ? entriesAdded - length + 1n : unknownCount;
}

function compareIds(a: StreamId, b: StreamId): number {
  if (a.ms !== b.ms) return a.ms < b.ms ? -1 : 1;
  if (a.sequence !== b.sequence) return a.sequence < b.sequence ? -1 : 1;
  return 0;
}

export function* skipStream(input: RdbInput, version: Version): Steps<void> {
  const packs = yield* readCount(input);
  for (let i = 0; i < packs * 2; i++) yield* skipString(input);
  yield* readCounters(input, version, zero);
  const groups = yield* readCount(input);
  for (let i = 0; i < groups; i++) yield* readGroup(input, ignore, version, ignoredCounters);
}

const ignore: StreamSink = {
  entry() {},
  counters() {},
  group() {},
  pending() {},
  consumer() {},
  owned() {},
};
const ignoredCounters = { length: 0n, lastId: zero, firstId: zero, maxDeletedId: zero, entriesAdded: 0n };

const flag = { deleted: 1, sameFields: 2 } as const;

interface StreamEntry {
  readonly id: StreamId;
  readonly fields: readonly Uint8Array[];
}

/**
 * Entries of one listpack. It begins with a master entry: live count, deleted count, number of fields, the fields, 0. Each
 * entry: flags, distance of its id from the master's, fields (only values if they are the master's), number of parts.
 */
function* packEntries(master: StreamId, bytes: Uint8Array): Generator<StreamEntry> {
  const parts = listpackElements(bytes);
  const live = number(parts);
  const deleted = number(parts);
  const names = strings(parts, number(parts));
  number(parts);
  for (let i = 0n; i < live + deleted; i++) {
    const flags = Number(number(parts));
    const id = { ms: wrap(master.ms + number(parts)), sequence: wrap(master.sequence + number(parts)) };
    const fields = entryFields(parts, names, (flags & flag.sameFields) !== 0);
    number(parts);
    if ((flags & flag.deleted) === 0) yield { id, fields };
  }
  if (!parts.next().done) throw malformed('a part of a stream goes on after its last entry');
}

function entryFields(parts: Generator<Uint8Array>, names: readonly Uint8Array[], same: boolean): Uint8Array[] {
  if (!same) return strings(parts, number(parts) * 2n);
  return names.flatMap((name) => [name, next(parts)]);
}

function strings(parts: Generator<Uint8Array>, count: bigint): Uint8Array[] {
  const all: Uint8Array[] = [];
  for (let i = 0n; i < count; i++) all.push(next(parts));
  return all;
}

function number(parts: Generator<Uint8Array>): bigint {
  const text = view(next(parts)).toString('latin1');
  if (!/^-?\d{1,20}$/.test(text)) throw malformed('a part of a stream has text where a number should be');
  return BigInt(text);
}

function next(parts: Generator<Uint8Array>): Uint8Array {
  const part = parts.next();
  if (part.done) throw malformed('a part of a stream ends in the middle of an entry');
  return part.value;
}

/** Distances are added as the server does it: in 64 bits. */
function wrap(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}

function rawId(bytes: Uint8Array): StreamId {
  const id = view(bytes);
  return { ms: id.readBigUInt64BE(0), sequence: id.readBigUInt64BE(8) };
}

function* readId(input: RdbInput): Steps<StreamId> {
  const ms = yield* readUnsigned(input);
  return { ms, sequence: yield* readUnsigned(input) };
}
