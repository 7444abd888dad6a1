/**
 * Stores blobs: asks the index, has what is new sealed by the workers, uploads packs while the source is still being read,
 * and writes the index last. Until `finish` resolved, nothing of it is visible but packs that a later run adopts.
 *
 * Memory: 6 slabs of 6 MiB and one of 8 MiB, and buffers of 16 MiB for the packs: one a worker and as many as are uploaded at once (and
 * as many again if the trees, too, fill packs): about 110 MiB with two workers and a disk, whatever the size of the source. At most one saver at a time uses a Repository object: the claims
 * on its index are this saver's promises.
 */
import { createHash } from 'node:crypto';
import { view } from '../../base/bytes.ts';
import { Semaphore } from '../../base/concurrency.ts';
import { throwIfCancelled } from '../../base/errors.ts';
import type { BlobIndex, BlobType } from '../blob-index/blob-index.ts';
import { type IndexedPack, loadIndex, saveIndexFile } from '../blob-index/index-files.ts';
import { chunkLimits } from '../cutting/chunker.ts';
import { makeSlab, type Slab, SlabPool, slabBytes, tailBytes } from '../cutting/slabs.ts';
import type { PackEntry } from '../format/pack-header.ts';
import { packName } from '../layout.ts';
import type { Repository } from '../repository.ts';
import type { Compression, FinishedPack } from '../worker/messages.ts';
import { makePackBuffers, type PackBuffers, releasePackBuffer } from '../worker/pack-buffers.ts';
import { packBufferBytes } from '../worker/pack-builder.ts';
import { usualThreads, WorkerPool } from '../worker/pool.ts';

const slabCount = 6;
const jointCount = 1;
/** Enough for a disk; a storage may ask for more. */
const usualUploads = 2;
/** Worker threads started ahead. */
const usualWarm = 2;
const packBytes = 16 << 20;
/** An index file is written when it would hold this many blobs, or this long after the last one: what is indexed survives a crash as it is. */
const indexBlobs = 50_000;
const indexEveryMs = 5 * 60_000;
/** Trees are gathered up to this size before they are handed to a worker. */
const treeBatchBytes = 1 << 20;

export interface SaverOptions {
  readonly compression?: Compression;
  readonly threads?: number;
  readonly signal?: AbortSignal;
  /** Nothing is written before it resolves. */
  readonly mayWrite?: Promise<void>;
}

export interface SaverStats {
  dataBlobs: number;
  treeBlobs: number;
  /** Plaintext bytes of new blobs. */
  addedBytes: number;
  /** The same as stored. */
  storedBytes: number;
}

export class BlobSaver implements AsyncDisposable {
  readonly repository: Repository;
  readonly pool: WorkerPool;
  readonly slabs = new SlabPool(slabCount, tailBytes + slabBytes);
  /** Takes one chunk of any length. */
  readonly joints = new SlabPool(jointCount, chunkLimits.maxBytes);
  readonly stats: SaverStats = { dataBlobs: 0, treeBlobs: 0, addedBytes: 0, storedBytes: 0 };
  readonly #signal: AbortSignal | undefined;
  readonly #stop = (): void => this.#fail(this.#signal?.reason);
  readonly #mayWrite: Promise<void> | undefined;
  #index: BlobIndex | undefined;
  readonly #packBuffers: Readonly<Record<BlobType, PackBuffers>>;
  readonly #uploads: Semaphore;
  readonly #working = new Set<Promise<void>>();
  #failure: { error: unknown } | undefined;
  #finished = false;
  #unindexed: IndexedPack[] = [];
  #unindexedBlobs = 0;
  #indexedAtMs: number;
  #treeSlab = makeSlab(treeBatchBytes);
  #treeUsed = 0;
  #treeRanges: number[] = [];
  #treeIds: Uint8Array[] = [];

  private constructor(repository: Repository, options: SaverOptions) {
    this.repository = repository;
    this.#signal = options.signal;
    this.#mayWrite = options.mayWrite;
    this.#indexedAtMs = repository.clock.monotonicMs();
    const threads = options.threads ?? usualThreads();
    const uploadsAtOnce = repository.storage.parallelPuts ?? usualUploads;
    this.#uploads = new Semaphore(uploadsAtOnce);
    const buffers = () => makePackBuffers(threads + uploadsAtOnce, packBufferBytes(packBytes));
    this.#packBuffers = { data: buffers(), tree: buffers() };
    this.pool = new WorkerPool(
      {
        masterKey: repository.masterKey,
        polynomial: repository.config.chunkerPolynomial,
        version: repository.config.version,
        compression: options.compression ?? 'auto',
        packBytes,
        packBuffers: this.#packBuffers,
      },
      threads,
      (pack) => this.inBackground(this.#upload(pack)),
    );
    // Across a network some answers are waited for before there is anything to do.
    if (repository.storage.parallelPuts !== undefined) this.pool.warm(usualWarm);
    options.signal?.addEventListener('abort', this.#stop, { once: true });
  }

  static async open(repository: Repository, options: SaverOptions = {}): Promise<BlobSaver> {
    const saver = BlobSaver.prepare(repository, options);
    try {
      await saver.begin();
      return saver;
    } catch (error) {
      await saver[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Its workers start while something else is waited for; nothing can be stored until `begin`. */
  static prepare(repository: Repository, options: SaverOptions = {}): BlobSaver {
    return new BlobSaver(repository, options);
  }

  /** From now on what the index says counts. */
  async begin(): Promise<void> {
    this.#index = await loadIndex(this.repository, this.#signal);
  }

  get index(): BlobIndex {
    if (!this.#index) throw new Error('a saver was used before it began');
    return this.#index;
  }

  /** Throws if anything stored so far failed, or the run was cancelled. */
  throwIfFailed(): void {
    throwIfCancelled(this.#signal);
    if (this.#failure) throw this.#failure.error;
  }

  /** Has what is new among the ranges (offset, length pairs) of a slab stored; resolves when the slab may be reused. */
  async store(type: BlobType, slab: Slab, ranges: Uint32Array | readonly number[], ids: Uint8Array): Promise<void> {
    const { newRanges, job } = this.#claim(type, slab, ranges, ids);
    if (job) this.#count(type, newRanges, await this.pool.run<'seal'>(job));
  }

  #claim(type: BlobType, slab: Slab, ranges: Uint32Array | readonly number[], ids: Uint8Array) {
    const newRanges: number[] = [];
    const newIds: number[] = [];
    for (let i = 0; i * 2 < ranges.length; i++) {
      if (!this.index.claim(type, ids, i * 32)) continue;
      newRanges.push(ranges[i * 2], ranges[i * 2 + 1]);
      newIds.push(i);
    }
    if (newIds.length === 0) return { newRanges };
    const wanted = new Uint8Array(newIds.length * 32);
    newIds.forEach((index, i) => {
      wanted.set(ids.subarray(index * 32, index * 32 + 32), i * 32);
    });
    const job = { kind: 'seal', type, slab: slab.memory, ranges: Uint32Array.from(newRanges), ids: wanted } as const;
    return { newRanges, job };
  }

  /** Stores a small blob that is none of the source's: it is not in `stats`. */
  async storeBeside(type: BlobType, bytes: Uint8Array): Promise<Uint8Array> {
    const id = new Uint8Array(createHash('sha256').update(bytes).digest());
    if (this.index.has(type, id)) return id;
    const { job } = this.#claim(type, slabOf(bytes), [0, bytes.byteLength], id);
    try {
      if (job) await this.pool.run<'seal'>(job);
    } catch (error) {
      // The source may hold the same bytes and rely on them: what was claimed and is not stored fails all of it.
      this.#fail(error);
      throw error;
    }
    return id;
  }

  /** Runs work beside the caller's; its failure surfaces at the next `throwIfFailed` or `finish`. */
  inBackground(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#working.delete(tracked);
      });
    this.#working.add(tracked);
  }

  /** Stores a blob that lies in ordinary memory; used for zero blobs and facts, not for bulk data. */
  async storeBytes(type: BlobType, bytes: Uint8Array): Promise<Uint8Array> {
    const id = new Uint8Array(createHash('sha256').update(bytes).digest());
    if (this.index.has(type, id)) return id;
    await this.store(type, slabOf(bytes), [0, bytes.byteLength], id);
    return id;
  }

  /** Stores a tree; its id is known at once, sealing happens in batches. */
  async storeTree(json: Uint8Array): Promise<Uint8Array> {
    const id = new Uint8Array(createHash('sha256').update(json).digest());
    if (this.index.has('tree', id)) return id;
    if (json.byteLength > treeBatchBytes / 4) return await this.storeBytes('tree', json);
    if (this.#treeUsed + json.byteLength > treeBatchBytes) this.#sendTrees();
    this.#treeSlab.bytes.set(json, this.#treeUsed);
    this.#treeRanges.push(this.#treeUsed, json.byteLength);
    this.#treeIds.push(id);
    this.#treeUsed += json.byteLength;
    return id;
  }

  /** Everything stored is durable and indexed when this resolves. */
  async finish(): Promise<void> {
    this.#sendTrees();
    await this.#settle();
    await this.pool.flush();
    await this.#settle();
    await this.#writeIndex();
    this.#finished = true;
  }

  /** Ends the workers. After a failure, what was uploaded completely is still indexed where the storage lets us. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#working);
    await this.pool.close();
    // Node keeps a signal made of others for ever while somebody listens, and with it all the memory of this saver.
    this.#signal?.removeEventListener('abort', this.#stop);
    // Claims that were not fulfilled must not be taken for stored blobs by whoever uses this repository next.
    if (!this.#finished) this.repository.blobIndex = undefined;
    if (this.#unindexed.length === 0) return;
    // Only a courtesy to the next run, which finds unindexed packs by itself: the failure that matters is on its way already.
    await this.#writeIndex().catch(() => undefined);
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.slabs.fail(this.#failure.error);
    this.joints.fail(this.#failure.error);
    this.#uploads.fail(this.#failure.error);
  }

  async #settle(): Promise<void> {
    while (this.#working.size > 0) await Promise.all(this.#working);
    this.throwIfFailed();
  }

  #count(type: BlobType, ranges: readonly number[], storedBytes: number): void {
    if (type === 'data') this.stats.dataBlobs += ranges.length / 2;
    else this.stats.treeBlobs += ranges.length / 2;
    for (let i = 1; i < ranges.length; i += 2) this.stats.addedBytes += ranges[i];
    this.stats.storedBytes += storedBytes;
  }

  #sendTrees(): void {
    if (this.#treeIds.length === 0) return;
    const slab = this.#treeSlab;
    this.inBackground(this.store('tree', slab, this.#treeRanges, Buffer.concat(this.#treeIds)));
    this.#treeSlab = makeSlab(treeBatchBytes);
    this.#treeUsed = 0;
    this.#treeRanges = [];
    this.#treeIds = [];
  }

  async #upload(pack: FinishedPack): Promise<void> {
    try {
      await this.#putPack(pack);
    } finally {
      // Also after a failure: a worker that waits for a buffer for ever could not be asked for anything else.
      if (pack.slot !== undefined) releasePackBuffer(this.#packBuffers[pack.type], pack.slot);
    }
    this.#unindexed.push({ id: pack.id, entries: this.#recordPack(pack) });
    this.#unindexedBlobs += pack.blobs.facts.length / 4;
    const due = this.repository.clock.monotonicMs() - this.#indexedAtMs > indexEveryMs;
    if (due || this.#unindexedBlobs >= indexBlobs) await this.#writeIndex();
  }

  /** Puts the pack when it is its turn. Back-pressure comes from its buffer: workers wait while all are taken. */
  async #putPack(pack: FinishedPack): Promise<void> {
    await this.#uploads.acquire();
    try {
      await this.#mayWrite;
      const body = view(new Uint8Array(pack.buffer, 0, pack.size));
      await this.repository.storage.put(packName(pack.id), [body], { signal: this.#signal, sha256: pack.id });
    } finally {
      this.#uploads.release();
    }
  }

  #recordPack(pack: FinishedPack): PackEntry[] {
    const number = this.index.addPack(pack.id);
    const { ids, facts } = pack.blobs;
    const entries: PackEntry[] = [];
    for (let i = 0; i * 4 < facts.length; i++) {
      const [offset, length, uncompressedLength] = facts.subarray(i * 4, i * 4 + 3);
      this.index.add(pack.type, ids, i * 32, { pack: number, offset, length, uncompressedLength });
      entries.push({ type: pack.type, id: ids.subarray(i * 32, i * 32 + 32), offset, length, uncompressedLength });
    }
    return entries;
  }

  async #writeIndex(): Promise<void> {
    const packs = this.#unindexed;
    this.#unindexed = [];
    this.#unindexedBlobs = 0;
    this.#indexedAtMs = this.repository.clock.monotonicMs();
    if (packs.length === 0) return;
    try {
      this.index.files.add(await saveIndexFile(this.repository, packs));
    } catch (error) {
      this.#unindexed.unshift(...packs);
      throw error;
    }
  }
}

function slabOf(bytes: Uint8Array): Slab {
  const slab = makeSlab(Math.max(1, bytes.byteLength));
  slab.bytes.set(bytes);
  return slab;
}
