/** Packs being filled inside a worker. A blob is verified after sealing, a header is decoded again before it is written. */
import { createHash, type Hash, hash } from 'node:crypto';
import { equalBytes, toHex } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { BlobType } from '../blob-index/blob-index.ts';
import { decodePackHeader, encodePackHeader, type PackEntry } from '../format/pack-header.ts';
import { type Sealer, sealOverhead } from '../sealing/crypto.ts';
import { compress, decompress } from '../sealing/zstd.ts';
import type { FinishedPack, WorkerSettings } from './messages.ts';
import { takePackBuffer } from './pack-buffers.ts';

/** zstd levels. `auto` stores about what restic stores by default, and costs 60 % of the time of level 3 on pages of databases. */
const levels = { fast: 1, auto: 2, max: 12 } as const;
/** Below this a zstd frame's own overhead eats the gain. */
const smallestCompressed = 64;
/** After so many blobs in a row that did not shrink, the next are not tried in full. */
const hopelessStreak = 4;
const sampleBytes = 64 << 10;
/** A pack holds at most this many blobs: bounds the header (41 bytes each) and a reader's memory. */
const mostBlobs = 50_000;
const headerEntryBytes = 41;
/** Blobs up to this are opened in one piece to be verified. */
const leastScratch = 1 << 20;

export interface BuilderSettings extends Pick<WorkerSettings, 'version' | 'compression' | 'packBytes' | 'packBuffers'> {
  readonly sealer: Sealer;
  finished(pack: FinishedPack): void;
}

/** The size of a buffer that takes any pack of `packBytes`, its header included. */
export function packBufferBytes(packBytes: number): number {
  return packBytes + headerBytes(mostBlobs);
}

export class PackBuilder {
  readonly #settings: BuilderSettings;
  readonly #type: BlobType;
  #buffer: Buffer | undefined;
  #slot: number | undefined;
  #used = 0;
  #entries: PackEntry[] = [];
  #hash: Hash = createHash('sha256');
  #scratch: Buffer = Buffer.alloc(0);
  /** Blobs in a row that did not shrink. */
  #streak = 0;
  /** Blobs to store as they are before compression is tried again. */
  #skip = 0;

  constructor(settings: BuilderSettings, type: BlobType) {
    this.#settings = settings;
    this.#type = type;
  }

  /** Adds a blob; returns the bytes it takes. */
  add(plain: Uint8Array, id: Uint8Array): number {
    const compressed = this.#compress(plain);
    const body = compressed ?? plain;
    const length = body.byteLength + sealOverhead;
    // A pack is closed before it would grow past its size: what of a buffer is ever touched stays the same.
    if (this.#used + length > this.#settings.packBytes) this.flush();
    this.#buffer ??= this.#takeBuffer(length);
    const sealed = this.#buffer.subarray(this.#used, this.#used + length);
    this.#settings.sealer.sealInto(body, sealed);
    this.#verify(sealed, compressed ? plain.byteLength : 0, id);
    this.#hash.update(sealed);
    this.#entries.push({
      type: this.#type,
      id: Uint8Array.from(id),
      offset: this.#used,
      length,
      uncompressedLength: compressed ? plain.byteLength : 0,
    });
    this.#used += length;
    if (this.#used >= this.#settings.packBytes || this.#entries.length >= mostBlobs) this.flush();
    return length;
  }

  /** Closes the open pack. */
  flush(): void {
    if (this.#buffer && this.#entries.length > 0) this.#settings.finished(this.#finish(this.#buffer));
  }

  #compress(plain: Uint8Array): Buffer | undefined {
    const { compression, version } = this.#settings;
    if (version < 2 || compression === 'off' || plain.byteLength < smallestCompressed) return undefined;
    const level = levels[compression];
    if (this.#streak >= hopelessStreak && this.#type === 'data' && !this.#promises(plain, level)) return undefined;
    const packed = compress(plain, level);
    if (shrank(packed, plain)) {
      this.#streak = 0;
      return packed;
    }
    this.#streak++;
    this.#skip = Math.min(7, Math.max(0, this.#streak - hopelessStreak + 1));
    return undefined;
  }

  /**
   * Data that does not shrink comes in runs (media, archives). After a streak a large blob is tried by a part of it, which
   * costs little and touches little memory; small ones only now and then.
   */
  #promises(plain: Uint8Array, level: number): boolean {
    if (plain.byteLength < 4 * sampleBytes) return this.#skip-- <= 0;
    const middle = (plain.byteLength - sampleBytes) >> 1;
    const sample = plain.subarray(middle, middle + sampleBytes);
    return shrank(compress(sample, level), sample);
  }

  /** The self-check: what was sealed must open to the bytes whose hash is the id. Guards against faulty memory, CPUs and our own bugs. */
  #verify(sealed: Uint8Array, uncompressedLength: number, id: Uint8Array): void {
    const { sealer } = this.#settings;
    const length = sealed.byteLength - sealOverhead;
    const inParts = uncompressedLength === 0 && length > leastScratch;
    const found = inParts ? hashOfParts(sealer, sealed) : this.#hashOf(sealed, length, uncompressedLength);
    if (!equalBytes(found, id)) throw selfCheckFailed(`blob ${toHex(id).slice(0, 16)}`);
  }

  #hashOf(sealed: Uint8Array, length: number, uncompressedLength: number): Buffer {
    if (this.#scratch.byteLength < length) this.#scratch = Buffer.allocUnsafeSlow(Math.max(length, leastScratch));
    const opened = this.#scratch.subarray(0, length);
    this.#settings.sealer.openInto(sealed, opened);
    return hash('sha256', uncompressedLength === 0 ? opened : decompress(opened, uncompressedLength), 'buffer');
  }

  #takeBuffer(firstLength: number): Buffer {
    const { packBytes, packBuffers } = this.#settings;
    const buffers = packBuffers?.[this.#type];
    if (!buffers || firstLength > packBytes) {
      return Buffer.from(new SharedArrayBuffer(Math.max(packBufferBytes(packBytes), firstLength + headerBytes(1))));
    }
    this.#slot = takePackBuffer(buffers);
    return Buffer.from(buffers.memory[this.#slot]);
  }

  #finish(buffer: Buffer): FinishedPack {
    const header = encodePackHeader(this.#entries);
    const decoded = decodePackHeader(header);
    const same =
      decoded.length === this.#entries.length &&
      decoded.every(
        (entry, i) => entry.offset === this.#entries[i].offset && equalBytes(entry.id, this.#entries[i].id),
      );
    if (!same) throw selfCheckFailed('pack header');
    const sealedHeader = buffer.subarray(this.#used, this.#used + header.byteLength + sealOverhead);
    this.#settings.sealer.sealInto(header, sealedHeader);
    const size = this.#used + sealedHeader.byteLength + 4;
    buffer.writeUInt32LE(sealedHeader.byteLength, size - 4);
    const id = this.#hash.update(buffer.subarray(this.#used, size)).digest('hex');
    const pack: FinishedPack = {
      id,
      type: this.#type,
      buffer: buffer.buffer as unknown as SharedArrayBuffer,
      slot: this.#slot,
      size,
      blobs: packEntries(this.#entries),
    };
    this.#buffer = undefined;
    this.#slot = undefined;
    this.#used = 0;
    this.#entries = [];
    this.#hash = createHash('sha256');
    return pack;
  }
}

/** The most a sealed header of so many blobs takes, with the length that follows it. */
function headerBytes(blobs: number): number {
  return blobs * headerEntryBytes + sealOverhead + 4;
}

function shrank(packed: Uint8Array, plain: Uint8Array): boolean {
  return packed.byteLength + (plain.byteLength >> 6) < plain.byteLength;
}

function hashOfParts(sealer: Sealer, sealed: Uint8Array): Buffer {
  const sha256 = createHash('sha256');
  sealer.openParts(sealed, (part) => sha256.update(part));
  return sha256.digest();
}

/** Entries in the compact form of messages. */
export function packEntries(entries: readonly PackEntry[]): { ids: Uint8Array; facts: Uint32Array } {
  const ids = new Uint8Array(entries.length * 32);
  const facts = new Uint32Array(entries.length * 4);
  entries.forEach((entry, i) => {
    ids.set(entry.id, i * 32);
    facts.set([entry.offset, entry.length, entry.uncompressedLength, entry.type === 'tree' ? 1 : 0], i * 4);
  });
  return { ids, facts };
}

function selfCheckFailed(what: string): HoldfastError {
  return new HoldfastError({
    code: 'repository.self-check',
    message: `the self-check before storing failed: ${what} does not read back as what was sealed`,
    remedy: 'Nothing wrong was stored. Test this machine’s memory and CPU (memtest86+), then run the backup again.',
  });
}
