/**
 * Small files travel together: many are read into one slab and hashed and sealed in one message, so that a tree of a
 * hundred thousand files costs a few hundred messages. A file of at most `chunkLimits.minBytes` is always one blob.
 */

import { chunkLimits } from '../cutting/chunker.ts';
import { type Slab, slabBytes, tailBytes } from '../cutting/slabs.ts';
import type { BlobSaver } from './blob-saver.ts';

/** Bounds how long a batch waits to be full. */
const mostFiles = 512;

interface Member {
  resolve(id: Uint8Array): void;
  reject(error: unknown): void;
}

export class SmallFileBatch {
  readonly #saver: BlobSaver;
  #slab: Slab | undefined;
  #used = 0;
  #ranges: number[] = [];
  #members: Member[] = [];

  constructor(saver: BlobSaver) {
    this.#saver = saver;
  }

  /** Memory to read one file into: at least `chunkLimits.minBytes + 1`, so that a longer file shows. Waits while all slabs are in use. */
  async room(): Promise<Uint8Array> {
    const full = slabBytes - this.#used <= chunkLimits.minBytes || this.#members.length >= mostFiles;
    if (full) this.flush();
    this.#slab ??= await this.#saver.slabs.acquire();
    const start = tailBytes + this.#used;
    return this.#slab.bytes.subarray(start, start + chunkLimits.minBytes + 1);
  }

  /** Takes the `length` bytes just read to the start of `room()`; resolves with the blob's id when it is stored or known. */
  add(length: number): Promise<Uint8Array> {
    this.#ranges.push(tailBytes + this.#used, length);
    this.#used += length;
    return new Promise((resolve, reject) => this.#members.push({ resolve, reject }));
  }

  /** Sends what has gathered on its way. */
  flush(): void {
    const slab = this.#slab;
    if (!slab) return;
    const ranges = Uint32Array.from(this.#ranges);
    const members = this.#members;
    this.#slab = undefined;
    this.#used = 0;
    this.#ranges = [];
    this.#members = [];
    this.#saver.inBackground(this.#store(slab, ranges, members));
  }

  async #store(slab: Slab, ranges: Uint32Array, members: readonly Member[]): Promise<void> {
    try {
      const ids = await this.#saver.pool.run<'hash'>({ kind: 'hash', slab: slab.memory, ranges });
      await this.#saver.store('data', slab, ranges, ids);
      members.forEach((member, i) => {
        member.resolve(ids.slice(i * 32, i * 32 + 32));
      });
    } catch (error) {
      for (const member of members) member.reject(error);
      throw error;
    } finally {
      this.#saver.slabs.release(slab);
    }
  }
}
