/**
 * The values of an RDB file, as what they mean: the same value gives the same calls whatever encoding a server chose for it.
 * Sources: rdb.c and rdb.h of Redis 7.4 and Valkey 8.0; for Valkey 9 (`HASH_2`) what the server itself writes.
 */
import { view } from '../../base/bytes.ts';
import { malformed, unsupportedRdb } from './malformed.ts';
import { intsetElements, listpackElements, ziplistElements, zipmapElements } from './packed-lists.ts';
import {
  type RdbInput,
  readCount,
  readMilliseconds,
  readString,
  readUnsigned,
  type Steps,
  skipString,
  streamString,
} from './rdb-input.ts';
import { readStream, type StreamSink, skipStream } from './rdb-streams.ts';

export type Product = 'redis' | 'valkey';
export type ValueKind = 'string' | 'list' | 'set' | 'zset' | 'hash' | 'stream' | 'module';

/** Receives one value. Bytes are views that stay as they are. Sets, sorted sets and hashes come in any order. */
export interface ValueSink extends StreamSink {
  /** A part of a string, in order; at least one. */
  text(part: Uint8Array): void;
  /** Of a list (in order) or a set. */
  element(value: Uint8Array): void;
  scored(member: Uint8Array, score: number): void;
  field(name: Uint8Array, value: Uint8Array, expiresAtMs: bigint | undefined): void;
}

type Read = (input: RdbInput, sink: ValueSink) => Steps<void>;

interface ValueType {
  readonly kind: ValueKind;
  /** The RDB version that introduced it: what a server must know to take it. */
  readonly since: number;
  readonly read: Read;
  readonly skip: (input: RdbInput) => Steps<void>;
}

/** What a type byte stands for. `source.unsupported` for what this version does not know. */
export function valueType(code: number, product: Product): ValueType {
  const type = (product === 'valkey' ? valkeyTypes[code] : redisTypes[code]) ?? types[code];
  if (type) return type;
  throw unsupportedRdb(`a value of type ${code} (${product})`);
}

const types: Readonly<Record<number, ValueType>> = {
  0: {
    kind: 'string',
    since: 1,
    read: (input, sink) => streamString(input, (part) => sink.text(part)),
    skip: skipString,
  },
  1: { kind: 'list', since: 1, read: readElements, skip: (input) => skipStrings(input, 1) },
  2: { kind: 'set', since: 1, read: readElements, skip: (input) => skipStrings(input, 1) },
  3: { kind: 'zset', since: 1, read: readOldScores, skip: skipOldScores },
  4: { kind: 'hash', since: 1, read: readFields, skip: (input) => skipStrings(input, 2) },
  5: { kind: 'zset', since: 8, read: readScores, skip: (input) => skipStrings(input, 1, 8) },
  7: { kind: 'module', since: 8, read: skipModuleValue, skip: skipModuleValue },
  9: packed('hash', 3, zipmapElements, fieldPairs),
  10: packed('list', 3, ziplistElements, singles),
  11: packed('set', 3, intsetElements, singles),
  12: packed('zset', 3, ziplistElements, scorePairs),
  13: packed('hash', 4, ziplistElements, fieldPairs),
  14: { kind: 'list', since: 7, read: readQuicklist, skip: (input) => skipStrings(input, 1) },
  15: {
    kind: 'stream',
    since: 9,
    read: (input, sink) => readStream(input, sink, 1),
    skip: (input) => skipStream(input, 1),
  },
  16: packed('hash', 10, listpackElements, fieldPairs),
  17: packed('zset', 10, listpackElements, scorePairs),
  18: { kind: 'list', since: 10, read: readQuicklist2, skip: skipQuicklist2 },
  19: {
    kind: 'stream',
    since: 10,
    read: (input, sink) => readStream(input, sink, 2),
    skip: (input) => skipStream(input, 2),
  },
  20: packed('set', 11, listpackElements, singles),
  21: {
    kind: 'stream',
    since: 11,
    read: (input, sink) => readStream(input, sink, 3),
    skip: (input) => skipStream(input, 3),
  },
};

/** 22 and 23 were in release candidates of 7.4 only. */
const redisTypes: Readonly<Record<number, ValueType>> = {
  24: { kind: 'hash', since: 12, read: readFieldsWithExpiry, skip: skipFieldsWithExpiry },
  25: {
    kind: 'hash',
    since: 12,
    read: function* (input, sink) {
      yield* readMilliseconds(input);
      fieldTriples(listpackElements(yield* readString(input)), sink);
    },
    skip: function* (input) {
      yield* input.skip(8);
      yield* skipString(input);
    },
  },
};

const valkeyTypes: Readonly<Record<number, ValueType>> = {
  22: { kind: 'hash', since: 80, read: readValkeyFields, skip: (input) => skipStrings(input, 2, 8) },
};

type Unpack = (bytes: Uint8Array) => Generator<Uint8Array>;
type Give = (elements: Generator<Uint8Array>, sink: ValueSink) => void;

function packed(kind: ValueKind, since: number, unpack: Unpack, give: Give): ValueType {
  return {
    kind,
    since,
    read: function* (input, sink) {
      give(unpack(yield* readString(input)), sink);
    },
    skip: skipString,
  };
}

function singles(elements: Generator<Uint8Array>, sink: ValueSink): void {
  for (const element of elements) sink.element(element);
}

function fieldPairs(elements: Generator<Uint8Array>, sink: ValueSink): void {
  for (const name of elements) sink.field(name, following(elements), undefined);
}

/** Field, value, and when the field expires: milliseconds since the epoch, 0 for never. */
function fieldTriples(elements: Generator<Uint8Array>, sink: ValueSink): void {
  for (const name of elements) {
    const value = following(elements);
    const expiry = view(following(elements)).toString('latin1');
    if (!/^\d{1,19}$/.test(expiry)) throw malformed('a field of a hash has no time of expiry');
    sink.field(name, value, expiry === '0' ? undefined : BigInt(expiry));
  }
}

function scorePairs(elements: Generator<Uint8Array>, sink: ValueSink): void {
  for (const member of elements) sink.scored(member, scoreOf(view(following(elements)).toString('latin1')));
}

function following(elements: Generator<Uint8Array>): Uint8Array {
  const next = elements.next();
  if (next.done) throw malformed('a packed list ends in the middle of a pair');
  return next.value;
}

function scoreOf(text: string): number {
  if (/^[+-]?inf$/.test(text)) return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  const score = /^[-+0-9.e]+$/i.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(score)) throw malformed('a score that is no number');
  return score;
}

function* skipStrings(input: RdbInput, each: number, bytesAfter = 0): Steps<void> {
  const count = yield* readCount(input);
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < each; j++) yield* skipString(input);
    if (bytesAfter > 0) yield* input.skip(bytesAfter);
  }
}

function* readElements(input: RdbInput, sink: ValueSink): Steps<void> {
  const count = yield* readCount(input);
  for (let i = 0; i < count; i++) sink.element(yield* readString(input));
}

function* readFields(input: RdbInput, sink: ValueSink): Steps<void> {
  const count = yield* readCount(input);
  for (let i = 0; i < count; i++) {
    const name = yield* readString(input);
    sink.field(name, yield* readString(input), undefined);
  }
}

/** Valkey 9: after each value, when the field expires; -1 for never. */
function* readValkeyFields(input: RdbInput, sink: ValueSink): Steps<void> {
  const count = yield* readCount(input);
  for (let i = 0; i < count; i++) {
    const name = yield* readString(input);
    const value = yield* readString(input);
    const expiresAtMs = yield* readMilliseconds(input);
    sink.field(name, value, expiresAtMs === -1n ? undefined : expiresAtMs);
  }
}

/** Redis 7.4: the earliest expiry first; before each field its own, as the distance from it plus one, 0 for never. */
function* readFieldsWithExpiry(input: RdbInput, sink: ValueSink): Steps<void> {
  const earliestMs = yield* readMilliseconds(input);
  const count = yield* readCount(input);
  for (let i = 0; i < count; i++) {
    const distance = yield* readUnsigned(input);
    const name = yield* readString(input);
    sink.field(name, yield* readString(input), distance === 0n ? undefined : earliestMs + distance - 1n);
  }
}

function* skipFieldsWithExpiry(input: RdbInput): Steps<void> {
  yield* input.skip(8);
  const count = yield* readCount(input);
  for (let i = 0; i < count; i++) {
    yield* readUnsigned(input);
    yield* skipString(input);
    yield* skipString(input);
  }
}

function* readScores(input: RdbInput, sink: ValueSink): Steps<void> {
  const count = yield* readCount(input);
  for (let i = 0; i < count; i++) {
    const member = yield* readString(input);
    yield* input.need(8);
    input.at += 8;
    sink.scored(member, input.bytes.readDoubleLE(input.at - 8));
  }
}

/** Before RDB version 8 scores were text, with three lengths that stand for what has no digits. */
function* readOldScores(input: RdbInput, sink: ValueSink): Steps<void> {
  const count = yield* readCount(input);
  for (let i = 0; i < count; i++) {
    const member = yield* readString(input);
    yield* input.need(1);
    const length = input.bytes[input.at++];
    if (length === 253) throw malformed('a score that is no number');
    if (length > 253) {
      sink.scored(member, length === 254 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY);
      continue;
    }
    yield* input.need(length);
    sink.scored(member, scoreOf(view(input.take(length)).toString('latin1')));
  }
}

function* skipOldScores(input: RdbInput): Steps<void> {
  const count = yield* readCount(input);
  for (let i = 0; i < count; i++) {
    yield* skipString(input);
    yield* input.need(1);
    const length = input.bytes[input.at++];
    if (length < 253) yield* input.skip(length);
  }
}

function* readQuicklist(input: RdbInput, sink: ValueSink): Steps<void> {
  const count = yield* readCount(input);
  for (let i = 0; i < count; i++) singles(ziplistElements(yield* readString(input)), sink);
}

const container = { plain: 1, packed: 2 } as const;

function* readQuicklist2(input: RdbInput, sink: ValueSink): Steps<void> {
  const count = yield* readCount(input);
  for (let i = 0; i < count; i++) {
    const kind = yield* readCount(input);
    const bytes = yield* readString(input);
    if (kind === container.plain) sink.element(bytes);
    else if (kind === container.packed) singles(listpackElements(bytes), sink);
    else throw unsupportedRdb(`a list node of kind ${kind}`);
  }
}

function* skipQuicklist2(input: RdbInput): Steps<void> {
  const count = yield* readCount(input);
  for (let i = 0; i < count; i++) {
    yield* readCount(input);
    yield* skipString(input);
  }
}

const moduleOpcode = { end: 0, signed: 1, unsigned: 2, float: 3, double: 4, string: 5 } as const;

/** What a module wrote has a structure that can be passed over without knowing the module. */
export function* skipModuleValue(input: RdbInput): Steps<void> {
  yield* readUnsigned(input);
  yield* skipModuleFields(input);
}

export function* skipModuleFields(input: RdbInput): Steps<void> {
  while (true) {
    const opcode = yield* readCount(input);
    if (opcode === moduleOpcode.end) return;
    if (opcode === moduleOpcode.signed || opcode === moduleOpcode.unsigned) yield* readUnsigned(input);
    else if (opcode === moduleOpcode.float) yield* input.skip(4);
    else if (opcode === moduleOpcode.double) yield* input.skip(8);
    else if (opcode === moduleOpcode.string) yield* skipString(input);
    else throw malformed(`a module's value with an unknown part ${opcode}`);
  }
}
