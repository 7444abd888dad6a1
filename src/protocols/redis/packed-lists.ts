/**
 * The encodings in which a server keeps small lists, sets, sorted sets and hashes as one string, and writes them so into an
 * RDB file: listpack (7.0 and newer), ziplist (before), intset, zipmap (before 2.6). Each gives its elements in order;
 * integers as their decimal text, which is what a client would be given. Sources: listpack.c, ziplist.c, intset.c and
 * zipmap.c of Redis 7.2 and before.
 */
import { view } from '../../base/bytes.ts';
import { malformed } from './malformed.ts';

export function* listpackElements(bytes: Uint8Array): Generator<Uint8Array> {
  const pack = view(bytes);
  if (pack.length < 7 || pack.readUInt32LE(0) !== pack.length || pack[pack.length - 1] !== 0xff) throw bad('listpack');
  const end = pack.length - 1;
  let at = 6;
  while (at < end) {
    const { value, next } = listpackElement(pack, at, end);
    // The entry's own length follows it, in as many bytes as it needs: for reading backwards.
    at = next + backLengthBytes(next - at);
    if (at > end) throw bad('listpack');
    yield value;
  }
}

interface Element {
  readonly value: Uint8Array;
  readonly next: number;
}

function listpackElement(pack: Buffer, at: number, end: number): Element {
  const first = pack[at];
  if (first < 0x80) return { value: text(first), next: at + 1 };
  if (first < 0xc0) return part(pack, at + 1, first & 0x3f, end);
  if (at + 2 > end) throw bad('listpack');
  if (first < 0xe0) {
    const unsigned = ((first & 0x1f) << 8) | pack[at + 1];
    return { value: text(unsigned >= 4096 ? unsigned - 8192 : unsigned), next: at + 2 };
  }
  if (first < 0xf0) return part(pack, at + 2, ((first & 0x0f) << 8) | pack[at + 1], end);
  if (first === 0xf0) {
    if (at + 5 > end) throw bad('listpack');
    return part(pack, at + 5, pack.readUInt32LE(at + 1), end);
  }
  const width = listpackIntegers[first];
  if (width === undefined) throw bad('listpack');
  return integer(pack, at + 1, width, end);
}

const listpackIntegers: Readonly<Record<number, number>> = { 241: 2, 242: 3, 243: 4, 244: 8 };

function backLengthBytes(length: number): number {
  if (length < 128) return 1;
  if (length < 16384) return 2;
  if (length < 2097152) return 3;
  return length < 268435456 ? 4 : 5;
}

export function* ziplistElements(bytes: Uint8Array): Generator<Uint8Array> {
  const list = view(bytes);
  if (list.length < 11 || list.readUInt32LE(0) !== list.length || list[list.length - 1] !== 0xff) throw bad('ziplist');
  const end = list.length - 1;
  let at = 10;
  while (at < end) {
    at += list[at] === 0xfe ? 5 : 1;
    if (at >= end) throw bad('ziplist');
    const { value, next } = ziplistElement(list, at, end);
    at = next;
    yield value;
  }
}

function ziplistElement(list: Buffer, at: number, end: number): Element {
  const first = list[at];
  if (first < 0x40) return part(list, at + 1, first, end);
  if (first < 0x80) {
    if (at + 2 > end) throw bad('ziplist');
    return part(list, at + 2, ((first & 0x3f) << 8) | list[at + 1], end);
  }
  if (first === 0x80) {
    if (at + 5 > end) throw bad('ziplist');
    return part(list, at + 5, list.readUInt32BE(at + 1), end);
  }
  const width = ziplistIntegers[first];
  if (width !== undefined) return integer(list, at + 1, width, end);
  if (first >= 0xf1 && first <= 0xfd) return { value: text(first - 0xf1), next: at + 1 };
  throw bad('ziplist');
}

const ziplistIntegers: Readonly<Record<number, number>> = { 254: 1, 192: 2, 240: 3, 208: 4, 224: 8 };

export function* intsetElements(bytes: Uint8Array): Generator<Uint8Array> {
  const set = view(bytes);
  if (set.length < 8) throw bad('intset');
  const width = set.readUInt32LE(0);
  const count = set.readUInt32LE(4);
  if (![2, 4, 8].includes(width) || set.length !== 8 + count * width) throw bad('intset');
  for (let at = 8; at < set.length; at += width) yield integer(set, at, width, set.length).value;
}

/** Fields and values in turn. */
export function* zipmapElements(bytes: Uint8Array): Generator<Uint8Array> {
  const map = view(bytes);
  if (map.length < 2 || map[map.length - 1] !== 0xff) throw bad('zipmap');
  const end = map.length - 1;
  let at = 1;
  while (at < end) {
    const field = zipmapLength(map, at, end);
    const { value: name, next } = part(map, field.next, field.length, end);
    yield name;
    const content = zipmapLength(map, next, end);
    if (content.next >= end) throw bad('zipmap');
    const free = map[content.next];
    const { value, next: after } = part(map, content.next + 1, content.length, end);
    yield value;
    at = after + free;
    if (at > end) throw bad('zipmap');
  }
}

function zipmapLength(map: Buffer, at: number, end: number): { length: number; next: number } {
  if (at >= end || map[at] === 0xff) throw bad('zipmap');
  if (map[at] < 254) return { length: map[at], next: at + 1 };
  if (at + 5 > end) throw bad('zipmap');
  return { length: map.readUInt32LE(at + 1), next: at + 5 };
}

function part(bytes: Buffer, at: number, length: number, end: number): Element {
  if (at + length > end) throw bad('packed list');
  return { value: bytes.subarray(at, at + length), next: at + length };
}

function integer(bytes: Buffer, at: number, width: number, end: number): Element {
  if (at + width > end) throw bad('packed list');
  const value = width === 8 ? bytes.readBigInt64LE(at) : bytes.readIntLE(at, width);
  return { value: text(value), next: at + width };
}

function text(value: number | bigint): Uint8Array {
  return Buffer.from(String(value), 'latin1');
}

function bad(what: string): Error {
  return malformed(`a ${what} is not well formed`);
}
