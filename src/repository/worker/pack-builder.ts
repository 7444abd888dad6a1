/** Packs being filled inside a worker. A blob is verified after sealing, a header is decoded again before it is written. */
import { createHash, type Hash, hash } from 'node:crypto';
import { equalBytes, toHex } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { BlobType } from '../blob-index.ts';
import { type Sealer, sealOverhead } from '../crypto.ts';
import { decodePackHeader, encodePackHeader, type PackEntry } from '../format/pack-header.ts';
import { compress, decompress } from '../zstd.ts';
import type { FinishedPack, WorkerSettings } from './messages.ts';
import { takePackBuffer } from './pack-buffers.ts';

/** zstd levels. `auto` stores about what restic stores by default, and costs 60 % of the time of level 3 on pages of databases. */
const levels = { fast: 1, auto: 2, max: 12 } as const;
/** Below this a zstd frame's own overhead eats the gain. */
const smallestCompressed = 64;
/** A pack holds at most this many blobs: bounds the header (41 bytes each) and a reader's memory. */
const mostBlobs = 50_000;
const headerEntryBytes = 41;

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
  /** Blobs to store as they are before compression is tried again; grows while nothing shrinks. */
  #skip = 0;
  #streak = 0;

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
    if (this.#skip > 0 && this.#type === 'data') {
      this.#skip--;
      return undefined;
    }
    const packed = compress(plain, levels[compression]);
    if (packed.byteLength + (plain.byteLength >> 6) < plain.byteLength) {
      this.#streak = 0;
      return packed;
    }
    // Data that does not shrink comes in runs (media, archives): after a streak, try only now and then.
    this.#streak++;
    if (this.#streak >= 4) this.#skip = Math.min(7, this.#streak - 3);
    return undefined;
  }

  /** The self-check: what was sealed must open to the bytes whose hash is the id. Guards against faulty memory, CPUs and our own bugs. */
  #verify(sealed: Uint8Array, uncompressedLength: number, id: Uint8Array): void {
    const length = sealed.byteLength - sealOverhead;
    if (this.#scratch.byteLength < length) this.#scratch = Buffer.allocUnsafeSlow(Math.max(length, 1 << 20));
    const opened = this.#scratch.subarray(0, length);
    this.#settings.sealer.openInto(sealed, opened);
    const plain = uncompressedLength === 0 ? opened : decompress(opened, uncompressedLength);
    const same = equalBytes(hash('sha256', plain, 'buffer'), id);
    if (!same) throw selfCheckFailed(`blob ${toHex(id).slice(0, 16)}`);
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
