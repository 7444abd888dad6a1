/**
 * The exact digest of a key, `redis-keys-1`, which does not depend on how a server encodes it. A key is written as: kind (a
 * letter), expiry (0, or 1 and milliseconds as 64 bits), length of the name, name; then, for
 *   strings: the bytes · lists: each element · streams: entries, counters, groups, what is pending, in order
 *   sets, sorted sets, hashes: the count, and the sum of the SHA-256 of each element (as eight 32-bit numbers, each modulo 2^32)
 * Lengths are 32 bits, numbers 64, scores IEEE 754, all little-endian; every bytes have their length before them. The digest
 * of the key is the SHA-256 of that; the digest of many keys is their sum. Memory: 128 KiB.
 */
import { createHash, type Hash, hash } from 'node:crypto';
import type { RdbKey } from '../../protocols/redis/rdb-reader.ts';
import type { StreamConsumer, StreamCounters, StreamGroup, StreamId } from '../../protocols/redis/rdb-streams.ts';
import type { ValueKind, ValueSink } from '../../protocols/redis/rdb-values.ts';

const stagingBytes = 64 * 1024;
const digestBytes = 32;

const letters: Readonly<Record<ValueKind, number>> = {
  string: 1,
  list: 2,
  set: 3,
  zset: 4,
  hash: 5,
  stream: 6,
  module: 7,
};

/** Parts of a stream, told apart. */
const part = { entry: 1, counters: 2, group: 3, pending: 4, consumer: 5, owned: 6 } as const;

/** SHA-256 of what is written, in one call if it is short. */
class Writing {
  readonly #staging = Buffer.allocUnsafe(stagingBytes);
  #used = 0;
  #hash: Hash | undefined;

  byte(value: number): void {
    this.#room(1);
    this.#staging[this.#used++] = value;
  }

  number(value: bigint): void {
    this.#room(8);
    this.#used = this.#staging.writeBigUInt64LE(BigInt.asUintN(64, value), this.#used);
  }

  score(value: number): void {
    this.#room(8);
    this.#used = this.#staging.writeDoubleLE(value, this.#used);
  }

  text(bytes: Uint8Array): void {
    this.#room(4);
    this.#used = this.#staging.writeUInt32LE(bytes.byteLength, this.#used);
    this.bytes(bytes);
  }

  bytes(bytes: Uint8Array): void {
    if (bytes.byteLength > stagingBytes) {
      this.#flush();
      this.#hash!.update(bytes);
      return;
    }
    this.#room(bytes.byteLength);
    this.#staging.set(bytes, this.#used);
    this.#used += bytes.byteLength;
  }

  /** The digest; the next writing begins. */
  end(): Buffer {
    if (!this.#hash) {
      const short = hash('sha256', this.#staging.subarray(0, this.#used), 'buffer');
      this.#used = 0;
      return short;
    }
    this.#flush();
    const long = this.#hash.digest();
    this.#hash = undefined;
    return long;
  }

  #room(bytes: number): void {
    if (this.#used + bytes > stagingBytes) this.#flush();
  }

  #flush(): void {
    this.#hash ??= createHash('sha256');
    this.#hash.update(this.#staging.subarray(0, this.#used));
    this.#used = 0;
  }
}

/** A sum of digests: the same in any order. */
export class DigestSum {
  readonly #sum = new Uint32Array(digestBytes / 4);

  add(digest: Buffer): void {
    for (let i = 0; i < this.#sum.length; i++) this.#sum[i] += digest.readUInt32LE(i * 4);
  }

  bytes(): Buffer {
    const out = Buffer.allocUnsafe(digestBytes);
    for (const [i, lane] of this.#sum.entries()) out.writeUInt32LE(lane, i * 4);
    return out;
  }

  hex(): string {
    return this.bytes().toString('hex');
  }

  clear(): void {
    this.#sum.fill(0);
  }
}

/** Takes the value of one key after another. */
export class KeyDigest implements ValueSink {
  /** Elements, entries or fields of the present key; 1 for a string. */
  elements = 0;
  readonly #key = new Writing();
  readonly #element = new Writing();
  readonly #sum = new DigestSum();
  #unordered = false;

  begin({ kind, name, expiresAtMs }: RdbKey): void {
    this.elements = 0;
    this.#unordered = kind === 'set' || kind === 'zset' || kind === 'hash';
    if (this.#unordered) this.#sum.clear();
    this.#key.byte(letters[kind]);
    expiry(this.#key, expiresAtMs);
    this.#key.text(name);
  }

  end(): Buffer {
    if (this.#unordered) {
      this.#key.number(BigInt(this.elements));
      this.#key.bytes(this.#sum.bytes());
    }
    return this.#key.end();
  }

  text(bytes: Uint8Array): void {
    this.elements = 1;
    this.#key.bytes(bytes);
  }

  element(value: Uint8Array): void {
    this.elements++;
    if (this.#unordered) {
      this.#element.text(value);
      this.#sum.add(this.#element.end());
    } else this.#key.text(value);
  }

  scored(member: Uint8Array, score: number): void {
    this.elements++;
    this.#element.text(member);
    this.#element.score(score);
    this.#sum.add(this.#element.end());
  }

  field(name: Uint8Array, value: Uint8Array, expiresAtMs: bigint | undefined): void {
    this.elements++;
    this.#element.text(name);
    this.#element.text(value);
    expiry(this.#element, expiresAtMs);
    this.#sum.add(this.#element.end());
  }

  entry(id: StreamId, fields: readonly Uint8Array[]): void {
    this.elements++;
    this.#key.byte(part.entry);
    this.#id(id);
    this.#key.number(BigInt(fields.length));
    for (const field of fields) this.#key.text(field);
  }

  counters({ length, lastId, firstId, maxDeletedId, entriesAdded }: StreamCounters): void {
    this.#key.byte(part.counters);
    this.#key.number(length);
    for (const id of [lastId, firstId, maxDeletedId]) this.#id(id);
    this.#key.number(entriesAdded);
  }

  group({ name, lastId, entriesRead }: StreamGroup): void {
    this.#key.byte(part.group);
    this.#key.text(name);
    this.#id(lastId);
    this.#key.number(entriesRead);
  }

  pending(id: Uint8Array, deliveredMs: bigint, deliveries: bigint): void {
    this.#key.byte(part.pending);
    this.#key.bytes(id);
    this.#key.number(deliveredMs);
    this.#key.number(deliveries);
  }

  consumer({ name, seenMs, activeMs }: StreamConsumer): void {
    this.#key.byte(part.consumer);
    this.#key.text(name);
    this.#key.number(seenMs);
    this.#key.number(activeMs);
  }

  owned(id: Uint8Array): void {
    this.#key.byte(part.owned);
    this.#key.bytes(id);
  }

  #id({ ms, sequence }: StreamId): void {
    this.#key.number(ms);
    this.#key.number(sequence);
  }
}

function expiry(writing: Writing, expiresAtMs: bigint | undefined): void {
  writing.byte(expiresAtMs === undefined ? 0 : 1);
  if (expiresAtMs !== undefined) writing.number(expiresAtMs);
}
