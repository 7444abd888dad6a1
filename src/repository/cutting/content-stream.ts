/** Filling slabs from a source's stream. */
import { chunkLimits } from './chunker.ts';
import { type Slab, slabBytes, tailBytes } from './slabs.ts';

/** What content is read from. */
export interface ContentStream {
  /** Fills `into` from the current position, possibly short of it; 0 at the end. */
  read(into: Uint8Array): Promise<number>;
  /** If a hole of at least `minimum` bytes starts here: skips it and returns its length; else 0. */
  skipHole?(minimum: number): Promise<number>;
}

export interface StoredContent {
  /** The blobs' ids in order, 32 bytes each. */
  readonly ids: Uint8Array;
  readonly sizeBytes: number;
}

export type Progress = (bytes: number) => void;

/** Holes shorter than this are read as the zeros they are. */
const smallestHole = chunkLimits.maxBytes;

export interface Fill {
  /** Bytes read to the slab's new part. */
  readonly length: number;
  readonly ended: boolean;
  /** Length of the hole that follows them, 0 = none. */
  readonly hole: number;
}

/** Fills the slab's new part; short only at the end of the stream or before a hole. */
export async function fillSlab(stream: ContentStream, slab: Slab, holes: boolean): Promise<Fill> {
  let length = 0;
  while (length < slabBytes) {
    const hole = holes ? ((await stream.skipHole?.(smallestHole)) ?? 0) : 0;
    if (hole > 0) return { length, ended: false, hole };
    const count = await stream.read(slab.bytes.subarray(tailBytes + length, tailBytes + slabBytes));
    if (count === 0) return { length, ended: true, hole: 0 };
    length += count;
  }
  return { length, ended: false, hole: 0 };
}
