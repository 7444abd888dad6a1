/**
 * The head of the `-shm` file: what readers of a WAL database agree on ("WAL-mode File Format", sqlite.org/walformat.html §2).
 * Two copies of a 48-byte header, then the checkpoint facts. Integers are in the byte order of the machine; every platform
 * Node runs on here is little-endian. Salts and nothing else are kept exactly as they stand in the WAL file.
 */
import { equalBytes, view } from '../../base/bytes.ts';
import { isPageSize } from './database-header.ts';

/** Two headers, nBackfill, five read marks, eight lock bytes, nBackfillAttempted. */
export const walIndexHeadBytes = 136;
const headerBytes = 48;

export interface WalIndex {
  /** Frames 1…lastFrame of the WAL are committed and part of this state; 0: nothing in the WAL counts. */
  readonly lastFrame: number;
  /** Pages of the database in this state; 0 when the WAL never held a commit: the main file's own length counts then. */
  readonly pageCount: number;
  /** 0 when nothing was written yet. */
  readonly pageBytes: number;
  /** The 8 bytes every valid frame repeats. */
  readonly salts: Uint8Array;
  /** Cumulative checksum of `lastFrame`, two 32-bit words. */
  readonly frameChecksum: readonly [number, number];
  /** Frames that are known to have been copied into the main file. */
  readonly backfilled: number;
}

/**
 * Parses the head; `undefined` while a writer is in the midst of changing it (the copies differ), before recovery filled it,
 * or if it is none. A caller who races with writers reads twice and compares with `sameWalState`.
 */
export function parseWalIndex(bytes: Uint8Array): WalIndex | undefined {
  const head = view(bytes);
  if (head.length < walIndexHeadBytes) return undefined;
  if (!head.subarray(0, headerBytes).equals(head.subarray(headerBytes, 2 * headerBytes))) return undefined;
  const initialised = head[12] === 1;
  if (!initialised) return undefined;
  // 16 bits hold sizes up to 65536: bit 0 stands for it.
  const raw = head.readUInt16LE(14);
  const pageBytes = (raw & 0xfe00) + ((raw & 1) << 16);
  if (pageBytes !== 0 && !isPageSize(pageBytes)) return undefined;
  return {
    lastFrame: head.readUInt32LE(16),
    pageCount: head.readUInt32LE(20),
    pageBytes,
    salts: Uint8Array.from(head.subarray(32, 40)),
    frameChecksum: [head.readUInt32LE(24), head.readUInt32LE(28)],
    backfilled: head.readUInt32LE(96),
  };
}

/** True if both heads describe one state: no commit, restart or recovery lies between them. Checkpoint progress may differ. */
export function sameWalState(a: Uint8Array, b: Uint8Array): boolean {
  return equalBytes(a.subarray(0, 2 * headerBytes), b.subarray(0, 2 * headerBytes));
}
