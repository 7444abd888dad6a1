/** Chunks that reach over the end of a slab: a chunk is hashed and sealed in one piece of memory. */
import type { BlobSaver } from '../saving/blob-saver.ts';
import { type Slab, type SlabPool, tailBytes } from './slabs.ts';

/** A part of the stream: an unfinished chunk of slabs before, then a slab's new bytes. */
export interface Piece {
  readonly tail: Buffer;
  readonly slab: Slab;
  /** New bytes in the slab. */
  readonly length: number;
  /** Ends of chunks, counted from the start of the tail. None lies in the tail, but at its end if the stream ends there. */
  readonly ends: readonly number[];
}

/** What no chunk of the piece takes, in memory of its own (not of a pool), so that it can be freed at once. */
export function unfinished({ tail, slab, length, ends }: Piece): Buffer {
  const last = ends.at(-1);
  const before = last === undefined ? tail : tail.subarray(0, 0);
  const part = slab.bytes.subarray(tailBytes + Math.max(0, (last ?? 0) - tail.length), tailBytes + length);
  const copy = Buffer.from(new ArrayBuffer(before.byteLength + part.byteLength));
  before.copy(copy);
  part.copy(copy, before.byteLength);
  return copy;
}

/** Where chunks lie: who gets it gives the slab back to `pool`. */
export interface Place {
  readonly slab: Slab;
  readonly pool: SlabPool;
}

/** Makes the chunks of a piece contiguous, the first of them in the `joint` if there is one, and hands them on. */
export function joinChunks(
  saver: BlobSaver,
  { tail, slab, ends }: Piece,
  joint: Slab | undefined,
  store: (place: Place, ranges: Uint32Array) => void,
): void {
  const start = tailBytes - tail.length;
  if (!joint) {
    tail.copy(slab.bytes, start);
    store({ slab, pool: saver.slabs }, rangesOf(ends, start, 0));
    return;
  }
  const [first, ...others] = ends;
  if (first === undefined) {
    saver.joints.release(joint);
  } else {
    tail.copy(joint.bytes);
    slab.bytes.copy(joint.bytes, tail.length, tailBytes, start + first);
    store({ slab: joint, pool: saver.joints }, Uint32Array.of(0, first));
  }
  store({ slab, pool: saver.slabs }, rangesOf(others, start, first ?? 0));
}

/** Offset and length of the chunks between `from` and the `ends`, all counted from `start`. */
function rangesOf(ends: readonly number[], start: number, from: number): Uint32Array {
  return Uint32Array.from(ends.flatMap((end, i) => [start + (ends[i - 1] ?? from), end - (ends[i - 1] ?? from)]));
}
