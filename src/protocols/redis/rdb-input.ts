/**
 * Bytes of an RDB file that come in pieces, read by generators: a reading step yields when it needs bytes that are not there
 * yet, and goes on when they came. Pieces that were given must not be altered afterwards: what is read are views of them.
 */
import { formatBytes, view } from '../../base/bytes.ts';
import { lzfDecompress } from './lzf.ts';
import { malformed, unsupportedRdb } from './malformed.ts';

/** Yields the number of bytes it waits for. */
export type Steps<T> = Generator<number, T, void>;

/** No server takes a longer string unless told to (`proto-max-bulk-len`), and no longer one has to be held here as a whole. */
const mostBytes = 1 << 30;

export class RdbInput {
  bytes: Buffer = Buffer.alloc(0);
  at = 0;
  ended = false;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  /** Offset in the file of `bytes[0]`. */
  #base = 0;
  #keptFrom = -1;
  #kept: Uint8Array[] = [];

  get position(): number {
    return this.#base + this.at;
  }

  /** Bytes that were given and not read. */
  get unread(): number {
    return this.bytes.length - this.at + this.#waitingBytes;
  }

  /** Bytes that can be read at once. */
  get available(): number {
    return this.bytes.length - this.at;
  }

  add(piece: Uint8Array): void {
    if (piece.byteLength === 0) return;
    this.#waiting.push(piece);
    this.#waitingBytes += piece.byteLength;
  }

  /** Returns when `count` bytes are available. */
  *need(count: number): Steps<void> {
    if (this.available >= count) return;
    if (count > mostBytes) throw unsupportedRdb(`one item of ${formatBytes(count)}`);
    while (this.unread < count) {
      if (this.ended) throw malformed(`it ends at byte ${this.position + this.unread} in the middle of something`);
      yield count;
    }
    this.#join();
  }

  /** What follows, up to `count` bytes, at least one. */
  *some(count: number): Steps<Uint8Array> {
    yield* this.need(Math.min(count, 1));
    return this.take(Math.min(count, this.available));
  }

  *skip(count: number): Steps<void> {
    let left = count;
    while (left > 0) left -= (yield* this.some(left)).byteLength;
  }

  /** The next `count` bytes, which must be available. */
  take(count: number): Uint8Array {
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  /** From here on everything that is read is kept as well, until `kept`. */
  keep(): void {
    this.#keptFrom = this.at;
    this.#kept = [];
  }

  /** All that was read since `keep`. */
  kept(): Uint8Array {
    const last = this.bytes.subarray(this.#keptFrom, this.at);
    const all = this.#kept.length === 0 ? last : Buffer.concat([...this.#kept, last]);
    this.#keptFrom = -1;
    this.#kept = [];
    return all;
  }

  #join(): void {
    if (this.#keptFrom >= 0) {
      if (this.at > this.#keptFrom) this.#kept.push(this.bytes.subarray(this.#keptFrom, this.at));
      this.#keptFrom = 0;
    }
    const rest = this.bytes.subarray(this.at);
    this.#base += this.at;
    this.at = 0;
    const alone = rest.length === 0 && this.#waiting.length === 1;
    this.bytes = alone ? view(this.#waiting[0]) : Buffer.concat([rest, ...this.#waiting]);
    this.#waiting = [];
    this.#waitingBytes = 0;
  }
}

/** A length; below 0 stands for an encoding: `-1 - kind`. Longer than 2^53 is refused. */
export function* readLength(input: RdbInput): Steps<number> {
  if (input.available < 1) yield* input.need(1);
  const first = input.bytes[input.at++];
  if (first < 0x40) return first;
  if (first < 0x80) {
    if (input.available < 1) yield* input.need(1);
    return ((first & 63) << 8) | input.bytes[input.at++];
  }
  if (first >= 0xc0) return -1 - (first & 63);
  const long = yield* longLength(input, first);
  if (long > Number.MAX_SAFE_INTEGER) throw malformed(`an impossible length before byte ${input.position}`);
  return Number(long);
}

/** A length that is no encoding: how many elements follow. */
export function* readCount(input: RdbInput): Steps<number> {
  const count = yield* readLength(input);
  if (count < 0) throw malformed(`a string where a count should be, before byte ${input.position}`);
  return count;
}

/** An unsigned number of 64 bits in the form of a length. */
export function* readUnsigned(input: RdbInput): Steps<bigint> {
  yield* input.need(1);
  const first = input.bytes[input.at];
  if (first >= 0x80 && first < 0xc0) {
    input.at++;
    return yield* longLength(input, first);
  }
  return BigInt(yield* readCount(input));
}

function* longLength(input: RdbInput, first: number): Steps<bigint> {
  if (first !== 0x80 && first !== 0x81) throw malformed(`an unknown form of length before byte ${input.position}`);
  const width = first === 0x80 ? 4 : 8;
  yield* input.need(width);
  const at = input.at;
  input.at += width;
  return width === 4 ? BigInt(input.bytes.readUInt32BE(at)) : input.bytes.readBigUInt64BE(at);
}

/** Eight bytes, little-endian, signed: times in milliseconds. */
export function* readMilliseconds(input: RdbInput): Steps<bigint> {
  yield* input.need(8);
  input.at += 8;
  return input.bytes.readBigInt64LE(input.at - 8);
}

const encoding = { int8: 0, int16: 1, int32: 2, lzf: 3 } as const;

/** A string as a whole, numbers as their decimal text. */
export function* readString(input: RdbInput): Steps<Uint8Array> {
  const length = yield* readLength(input);
  if (length < 0) return yield* encodedString(input, -1 - length);
  if (input.available < length) yield* input.need(length);
  return input.take(length);
}

/** A string in parts, so that a long one is never held; at least one part. */
export function* streamString(input: RdbInput, part: (bytes: Uint8Array) => void): Steps<void> {
  const length = yield* readLength(input);
  if (length <= 0) {
    part(length === 0 ? new Uint8Array() : yield* encodedString(input, -1 - length));
    return;
  }
  let left = length;
  while (left > 0) {
    const bytes = yield* input.some(left);
    left -= bytes.byteLength;
    part(bytes);
  }
}

/** Passes over a string without decoding it. */
export function* skipString(input: RdbInput): Steps<void> {
  const length = yield* readLength(input);
  if (length >= 0) yield* input.skip(length);
  else if (-1 - length === encoding.lzf) {
    const packed = yield* readCount(input);
    yield* readCount(input);
    yield* input.skip(packed);
  } else yield* encodedString(input, -1 - length);
}

function* encodedString(input: RdbInput, kind: number): Steps<Uint8Array> {
  if (kind === encoding.lzf) {
    const packed = yield* readCount(input);
    const length = yield* readCount(input);
    if (length > mostBytes) throw unsupportedRdb(`one item of ${formatBytes(length)}`);
    yield* input.need(packed);
    return lzfDecompress(input.take(packed), length);
  }
  if (kind > encoding.int32) throw unsupportedRdb(`a string encoding ${kind}`);
  const width = 1 << kind;
  yield* input.need(width);
  input.at += width;
  return Buffer.from(String(input.bytes.readIntLE(input.at - width, width)), 'latin1');
}
