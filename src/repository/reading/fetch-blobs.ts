/**
 * Reading many blobs at once: grouped by pack, neighbours fetched together, opened and verified by workers. Blobs arrive
 * in no particular order. Memory: a pair of slabs of about 8 MiB for each read at once: 4, across a network 6, whatever is
 * fetched at the same time.
 */
import { forEachConcurrent, Semaphore } from '../../base/concurrency.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { BlobIndex } from '../blob-index/blob-index.ts';
import { makeSlab, type Slab } from '../cutting/slabs.ts';
import { packName } from '../layout.ts';
import type { Repository } from '../repository.ts';
import type { WorkerPool } from '../worker/pool.ts';
import { readAgainIfDamaged } from './read-again.ts';

/** Enough for a disk. */
const usualReads = 4;
/** Across a network: while some wait for the first byte, others open what they got. */
const farReads = 6;
/** Stored bytes of one read, unless one blob is larger. */
const readBytes = 4 << 20;
/** Plaintext bytes one read may open to, unless one blob is larger. */
const plainBytes = 8 << 20;
/** Unwanted bytes read over rather than asking twice. */
const gapBytes = 128 << 10;

/** Called with a blob's index entry and its verified plaintext; the memory is reused once the promise settles. */
export type Deliver = (entry: number, plain: Uint8Array) => Promise<void> | void;

/** Blobs that were read together: the plaintext of `entries[i]` is at `offsets[i]` of the slab. */
export interface OpenedBlobs {
  readonly entries: readonly number[];
  readonly offsets: readonly number[];
  readonly slab: Slab;
}

interface Read {
  readonly pack: number;
  readonly offset: number;
  length: number;
  plain: number;
  readonly entries: number[];
}

export class BlobFetcher {
  readonly #repository: Repository;
  readonly #index: BlobIndex;
  readonly #pool: WorkerPool;
  readonly #stored: Slab[] = [];
  readonly #opened: Slab[] = [];
  readonly #atOnce: number;
  readonly #reads: Semaphore;

  constructor(repository: Repository, index: BlobIndex, pool: WorkerPool) {
    this.#atOnce = repository.storage.parallelPuts === undefined ? usualReads : farReads;
    this.#reads = new Semaphore(this.#atOnce);
    this.#repository = repository;
    this.#index = index;
    this.#pool = pool;
  }

  /**
   * Fetches each entry (distinct numbers of the index) once. `repository.damaged` names the first blob that does not open.
   * `begun` is called when the last read has begun: what is asked for then fills the places that become free.
   */
  async fetch(
    entries: readonly number[],
    deliver: Deliver,
    { signal, begun }: { readonly signal?: AbortSignal; readonly begun?: () => void } = {},
  ): Promise<void> {
    const deliverEach = async ({ entries: opened, offsets, slab }: OpenedBlobs): Promise<void> => {
      for (let i = 0; i < opened.length; i++) {
        await deliver(opened[i], slab.bytes.subarray(offsets[i], offsets[i] + this.#index.plainLength(opened[i])));
      }
    };
    await this.fetchTogether(entries, deliverEach, { signal, begun });
  }

  /** Like `fetch`, for who can use many blobs where they were opened; the slab is reused once the promise settles. */
  async fetchTogether(
    entries: readonly number[],
    deliver: (opened: OpenedBlobs) => Promise<void>,
    { signal, begun }: { readonly signal?: AbortSignal; readonly begun?: () => void } = {},
  ): Promise<void> {
    const reads = this.#plan(entries);
    let waiting = reads.length;
    const inTurn = async (read: Read): Promise<void> => {
      await this.#reads.acquire();
      try {
        if (--waiting === 0) begun?.();
        await this.#perform(read, deliver, signal);
      } finally {
        this.#reads.release();
      }
    };
    await forEachConcurrent(reads, this.#atOnce, inTurn, signal);
  }

  #plan(entries: readonly number[]): Read[] {
    const index = this.#index;
    const sorted = entries.toSorted(
      (a, b) => index.packNumber(a) - index.packNumber(b) || index.offset(a) - index.offset(b),
    );
    const reads: Read[] = [];
    let read: Read | undefined;
    for (const entry of sorted) {
      const [pack, offset, length] = [index.packNumber(entry), index.offset(entry), index.storedLength(entry)];
      const plain = index.plainLength(entry);
      const fits =
        read?.pack === pack &&
        offset - (read.offset + read.length) <= gapBytes &&
        offset + length - read.offset <= readBytes &&
        read.plain + plain <= plainBytes;
      if (read && fits) {
        read.length = offset + length - read.offset;
        read.plain += plain;
        read.entries.push(entry);
      } else {
        read = { pack, offset, length, plain, entries: [entry] };
        reads.push(read);
      }
    }
    return reads;
  }

  async #perform(
    read: Read,
    deliver: (opened: OpenedBlobs) => Promise<void>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const stored = take(this.#stored, Math.max(read.length, readBytes));
    const opened = take(this.#opened, Math.max(read.plain, plainBytes));
    try {
      const name = packName(this.#index.packs[read.pack]);
      const offsets = await readAgainIfDamaged(async () => {
        await this.#repository.storage.getInto(name, read.offset, stored.bytes.subarray(0, read.length), signal);
        return await this.#open(read, stored, opened);
      });
      await deliver({ entries: read.entries, offsets, slab: opened });
    } finally {
      // Oversized slabs are for one unusual blob: not kept.
      if (stored.bytes.byteLength === readBytes) this.#stored.push(stored);
      if (opened.bytes.byteLength === plainBytes) this.#opened.push(opened);
    }
  }

  async #open(read: Read, stored: Slab, opened: Slab): Promise<number[]> {
    const index = this.#index;
    const blobs = new Uint32Array(read.entries.length * 4);
    const ids = new Uint8Array(read.entries.length * 32);
    const offsets: number[] = [];
    let at = 0;
    read.entries.forEach((entry, i) => {
      blobs.set(
        [index.offset(entry) - read.offset, index.storedLength(entry), index.uncompressedLength(entry), at],
        i * 4,
      );
      ids.set(index.id(entry), i * 32);
      offsets.push(at);
      at += index.plainLength(entry);
    });
    const job = { kind: 'open', slab: stored.memory, out: opened.memory, blobs, ids } as const;
    const [fault] = await this.#pool.run<'open'>(job);
    if (fault) {
      throw new HoldfastError({
        code: 'repository.damaged',
        message: `${fault.message} (in pack ${index.packs[read.pack]} of ${this.#repository.storage.location})`,
        remedy:
          'Run holdfast repo check --read-data to see what is affected; another copy or snapshot may still hold it.',
      });
    }
    return offsets;
  }
}

function take(free: Slab[], bytes: number): Slab {
  const slab = free.at(-1);
  if (!slab || slab.bytes.byteLength < bytes) return makeSlab(bytes);
  free.pop();
  return slab;
}
