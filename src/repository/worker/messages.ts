/**
 * What the main thread asks of a repository worker. Bytes travel in shared memory (a slab is one SharedArrayBuffer), so a
 * message is a few numbers whatever the size of the data. A worker does its jobs in the order they were sent.
 */

import type { BlobType } from '../blob-index/blob-index.ts';
import type { RegionCut } from '../cutting/page-cutter.ts';
import type { MasterKey } from '../sealing/crypto.ts';
import type { PackBuffers } from './pack-buffers.ts';

/** zstd: `auto` level 2, `fast` level 1, `max` level 12, `off` none. What does not shrink is stored as it is. */
export type Compression = 'auto' | 'fast' | 'max' | 'off';

export interface WorkerSettings {
  readonly masterKey: MasterKey;
  readonly polynomial: bigint;
  /** Repository format version: version 1 knows no compression. */
  readonly version: number;
  readonly compression: Compression;
  /** Packs are closed when they reach this size. */
  readonly packBytes: number;
  /** Where packs are built; of one size each, `packBufferBytes(packBytes)`. Absent in pools that only read. */
  readonly packBuffers?: Readonly<Record<BlobType, PackBuffers>>;
}

/** Candidates for cuts in [offset, offset+length) of the slab; `context` bytes before `offset` belong to the stream. */
export interface ScanJob {
  readonly kind: 'scan';
  readonly slab: SharedArrayBuffer;
  readonly offset: number;
  readonly length: number;
  readonly context: number;
}

/** SHA-256 of ranges (offset, length pairs). */
export interface HashJob {
  readonly kind: 'hash';
  readonly slab: SharedArrayBuffer;
  readonly ranges: Uint32Array;
}

/** Cut paged regions by heat and hash them. */
export interface CutPagesJob {
  readonly kind: 'cut-pages';
  readonly slab: SharedArrayBuffer;
  readonly regions: readonly { readonly offset: number; readonly length: number; readonly parent?: RegionCut }[];
  readonly leafBytes: number;
  readonly hot: boolean;
}

/** Compress, seal, verify and append to this worker's open pack of the type. */
export interface SealJob {
  readonly kind: 'seal';
  readonly type: BlobType;
  readonly slab: SharedArrayBuffer;
  readonly ranges: Uint32Array;
  /** 32 bytes a range. */
  readonly ids: Uint8Array;
}

/** Close the open packs. */
export interface FlushJob {
  readonly kind: 'flush';
}

/** Unseal, decompress and verify stored blobs. */
export interface OpenJob {
  readonly kind: 'open';
  readonly slab: SharedArrayBuffer;
  readonly out: SharedArrayBuffer;
  /** Per blob: offset and length in the slab, plaintext length if compressed (else 0), offset in `out`. */
  readonly blobs: Uint32Array;
  readonly ids: Uint8Array;
}

/** Check a whole pack: hash, header, every blob. */
export interface CheckPackJob {
  readonly kind: 'check-pack';
  readonly slab: SharedArrayBuffer;
  readonly length: number;
  /** Hex. */
  readonly id: string;
}

export type Job = ScanJob | HashJob | CutPagesJob | SealJob | FlushJob | OpenJob | CheckPackJob;

/** Blobs of a pack: ids (32 bytes each) and per blob offset, length, uncompressed length, type (0 data, 1 tree). */
export interface PackedBlobs {
  readonly ids: Uint8Array;
  readonly facts: Uint32Array;
}

export interface FinishedPack {
  readonly id: string;
  readonly type: BlobType;
  /** The pack's bytes are the first `size` of the buffer. */
  readonly buffer: SharedArrayBuffer;
  /** The buffer's number among the pack buffers of the type, to be released when the bytes are stored; absent if it is not one of them. */
  readonly slot?: number;
  readonly size: number;
  readonly blobs: PackedBlobs;
}

/** What a blob that does not open says. */
export interface BlobFault {
  readonly index: number;
  readonly message: string;
}

export interface CheckPackResult {
  readonly blobs: PackedBlobs;
  /** Sentences, each naming what is wrong; empty = sound. */
  readonly faults: readonly string[];
  /** Ids (hex) of blobs that do not open. */
  readonly damaged: readonly string[];
}

export interface JobResults {
  scan: Uint32Array;
  hash: Uint8Array;
  'cut-pages': readonly { readonly lengths: Uint32Array; readonly ids: Uint8Array; readonly changed: boolean }[];
  /** Bytes the sealed blobs take. */
  seal: number;
  flush: undefined;
  open: readonly BlobFault[];
  'check-pack': CheckPackResult;
}

export interface ToWorker {
  readonly number: number;
  readonly job: Job;
}

export type FromWorker =
  /** Sent as soon as the pack is full, before the answer to the job that filled it. */
  | { readonly pack: FinishedPack }
  | { readonly number: number; readonly result: unknown }
  | { readonly number: number; readonly error: { code: string; message: string; remedy: string } };
