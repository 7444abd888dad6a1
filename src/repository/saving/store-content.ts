/**
 * Content-defined storing: cut where restic's chunker would cut (except that a hole ends a chunk), so that data restic
 * stored is found again. Reading and scanning run some slabs ahead of choosing cuts; hashing and sealing run beside.
 * Memory: slabs of the saver's pools, and one unfinished chunk (at most 8 MiB) per file.
 */
import { freeMemory } from '../../base/free-memory.ts';
import { chunkLimits, selectCuts } from '../cutting/chunker.ts';
import { ContentIds } from '../cutting/content-ids.ts';
import {
  type ContentStream,
  type Fill,
  fillSlab,
  type Progress,
  type StoredContent,
} from '../cutting/content-stream.ts';
import { joinChunks, type Piece, type Place, unfinished } from '../cutting/join-chunks.ts';
import { type Slab, tailBytes } from '../cutting/slabs.ts';
import type { BlobSaver } from './blob-saver.ts';

const scanContext = 64;

/** Slabs read, and being scanned, before cuts are chosen in the first of them. */
const slabsAhead = 3;

interface ScannedSlab extends Fill {
  readonly slab: Slab;
  /** Runs of possible ends of chunks, counted from the first new byte. Never rejects unseen: it is awaited in turn. */
  readonly candidates: Promise<Uint32Array>;
}

/** Reads slab after slab and finds the candidates for cuts. Not for concurrent use. */
class SlabScanner {
  readonly #saver: BlobSaver;
  readonly #stream: ContentStream;
  /** The stream's last bytes, right-aligned: the window of the rolling hash reaches back over the slab's border. */
  readonly #context = Buffer.alloc(scanContext);
  #contextLength = 0;
  /** Reads happen one after the other. */
  #reading: Promise<void> = Promise.resolve();
  #ended = false;

  constructor(saver: BlobSaver, stream: ContentStream) {
    this.#saver = saver;
    this.#stream = stream;
  }

  /** The next slab, once it is read; `undefined` after the last one, or after a failure. May be called ahead of need. */
  next(): Promise<ScannedSlab | undefined> {
    const slab = this.#reading.then(() => (this.#ended ? undefined : this.#read()));
    this.#reading = slab.then(
      (read) => {
        if (read?.ended) this.#ended = true;
      },
      () => {
        this.#ended = true;
      },
    );
    // Seen when awaited; until then it must not count as unhandled.
    slab.catch(() => undefined);
    return slab;
  }

  async #read(): Promise<ScannedSlab> {
    const slab = await this.#saver.slabs.acquire();
    try {
      const fill = await fillSlab(this.#stream, slab, true);
      this.#context.copy(slab.bytes, tailBytes - this.#contextLength, scanContext - this.#contextLength);
      const candidates = fill.length === 0 ? Promise.resolve(new Uint32Array()) : this.#scan(slab, fill.length);
      candidates.catch(() => undefined);
      this.#remember(slab, fill);
      return { ...fill, slab, candidates };
    } catch (error) {
      this.#saver.slabs.release(slab);
      throw error;
    }
  }

  async #scan(slab: Slab, length: number): Promise<Uint32Array> {
    const context = this.#contextLength;
    return await this.#saver.pool.run<'scan'>({ kind: 'scan', slab: slab.memory, offset: tailBytes, length, context });
  }

  #remember(slab: Slab, { length, hole }: Fill): void {
    this.#contextLength = hole > 0 ? 0 : Math.min(scanContext, this.#contextLength + length);
    const end = tailBytes + length;
    slab.bytes.copy(this.#context, scanContext - this.#contextLength, end - this.#contextLength, end);
  }
}

/** Stores a stream cut by content. A failing read rejects after everything under way has let go of its slabs. */
export async function storeByContent(
  saver: BlobSaver,
  stream: ContentStream,
  progress: Progress,
): Promise<StoredContent> {
  const scanner = new SlabScanner(saver, stream);
  const ids = new ContentIds();
  let sizeBytes = 0;
  let tail: Buffer = Buffer.alloc(0);
  const ahead = Array.from({ length: slabsAhead }, () => scanner.next());
  for (;;) {
    let scanned: ScannedSlab;
    let runs: Uint32Array;
    let joint: Slab | undefined;
    try {
      // The end of the stream leaves this loop, so there always is a next slab.
      scanned = (await ahead.shift())!;
      ahead.push(scanner.next());
      runs = await scanned.candidates;
      if (tail.length > tailBytes) joint = await saver.joints.acquire();
      saver.throwIfFailed();
      ids.throwIfFailed();
    } catch (error) {
      await ids.settled();
      await letGo(saver, ahead);
      throw error;
    }
    const { slab, length, ended, hole } = scanned;
    const total = tail.length + length;
    const candidates = runs.map((end) => end + total - length);
    const ends = selectCuts(candidates, 0, total, { ...chunkLimits, atEnd: ended || hole > 0 });
    const piece: Piece = { tail, slab, length, ends };
    const rest = unfinished(piece);
    joinChunks(saver, piece, joint, (place, chunks) => storeChunks(saver, { place, chunks, ids, progress }));
    freeMemory(tail);
    tail = rest;
    if (hole > 0) await storeHole(saver, hole, ids);
    sizeBytes += length + hole;
    if (ended) return { ids: await ids.complete(sizeBytes), sizeBytes };
  }
}

/** Gives back slabs that were read ahead and are not needed any more. */
async function letGo(saver: BlobSaver, ahead: readonly Promise<ScannedSlab | undefined>[]): Promise<void> {
  for (const read of await Promise.allSettled(ahead)) {
    if (read.status === 'fulfilled' && read.value) saver.slabs.release(read.value.slab);
  }
}

function storeChunks(
  saver: BlobSaver,
  part: { place: Place; chunks: Uint32Array; ids: ContentIds; progress: Progress },
): void {
  const { place, chunks, ids, progress } = part;
  const hashing = saver.pool.run<'hash'>({ kind: 'hash', slab: place.slab.memory, ranges: chunks });
  ids.append(chunks.length / 2, bytesOf(chunks), hashing);
  const storing = async (): Promise<void> => {
    try {
      await saver.store('data', place.slab, chunks, await hashing);
    } finally {
      place.pool.release(place.slab);
    }
    progress(bytesOf(chunks));
  };
  ids.track(storing());
}

function bytesOf(ranges: Uint32Array): number {
  let bytes = 0;
  for (let i = 1; i < ranges.length; i += 2) bytes += ranges[i];
  return bytes;
}

/** A hole is one all-zero blob named again and again: 2 TB of nothing is a quarter of a million references to one blob. */
async function storeHole(saver: BlobSaver, bytes: number, ids: ContentIds): Promise<void> {
  const zeroBytes = chunkLimits.maxBytes;
  const times = Math.floor(bytes / zeroBytes);
  if (times > 0) ids.appendKnown(await saver.storeBytes('data', Buffer.alloc(zeroBytes)), zeroBytes, times);
  const rest = bytes % zeroBytes;
  if (rest > 0) ids.appendKnown(await saver.storeBytes('data', Buffer.alloc(rest)), rest);
}
