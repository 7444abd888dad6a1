/**
 * The `-wal` file: a 32-byte header, then frames of 24 bytes + one page ("WAL-mode File Format" §1; fileformat2.html §4).
 * Integers are big-endian.
 */
import { readSync } from 'node:fs';
import { equalBytes, view } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { WalIndex } from './wal-index.ts';

export const walHeaderBytes = 32;
export const frameHeaderBytes = 24;

/** Where the newest committed version of each page lies in the WAL. Sorted by page; 12 bytes a page. */
export interface WalPages {
  /** 1-based page numbers, ascending. */
  readonly pages: Uint32Array;
  /** Position in the WAL file of each page's bytes. */
  readonly positions: Float64Array;
}

export const noWalPages: WalPages = { pages: new Uint32Array(0), positions: new Float64Array(0) };

/**
 * Reads the frame headers 1…`lastFrame` and keeps the last of each page. The caller holds a read mark, so the frames are there
 * and do not change: every frame must carry the salts of the state, and the last must be the commit the state ends with.
 * Reading synchronously is deliberate: a WAL was just written, so it lies in the page cache, and this is one pass.
 * Memory: one buffer of 4 MiB, and about 60 bytes a distinct page while the map is built.
 * Errors: `source.changed` if the frames are not those of the state.
 */
export function mapWalPages(walFile: number, state: WalIndex, name: string): WalPages {
  const header = Buffer.alloc(walHeaderBytes);
  if (readSync(walFile, header, 0, walHeaderBytes, 0) !== walHeaderBytes)
    throw foreignWal(name, 'its header is missing');
  if (!equalBytes(header.subarray(16, 24), state.salts)) throw foreignWal(name, 'it was restarted');
  const frameBytes = frameHeaderBytes + state.pageBytes;
  const perRead = Math.max(1, Math.floor((4 << 20) / frameBytes));
  const buffer = Buffer.allocUnsafe(perRead * frameBytes);
  const newest = new Map<number, number>();
  for (let frame = 0; frame < state.lastFrame; ) {
    const count = Math.min(perRead, state.lastFrame - frame);
    const base = walHeaderBytes + frame * frameBytes;
    readFully(walFile, buffer.subarray(0, count * frameBytes), base, name);
    for (let i = 0; i < count; i++) {
      const at = i * frameBytes;
      if (!equalBytes(buffer.subarray(at + 8, at + 16), state.salts)) {
        throw foreignWal(name, `frame ${frame + i + 1} has other salts`);
      }
      newest.set(buffer.readUInt32BE(at), base + at + frameHeaderBytes);
    }
    frame += count;
    if (frame === state.lastFrame) requireCommit(buffer.subarray((count - 1) * frameBytes), state, name);
  }
  return sortedPages(newest, state.pageCount);
}

/** The last frame must end a transaction and carry the checksum the wal-index knows: proof that this is the right generation. */
function requireCommit(frame: Buffer, state: WalIndex, name: string): void {
  if (frame.readUInt32BE(4) !== state.pageCount) throw foreignWal(name, 'its last frame is no commit of this state');
  const [first, second] = state.frameChecksum;
  if (frame.readUInt32BE(16) !== first || frame.readUInt32BE(20) !== second) {
    throw foreignWal(name, 'its last frame has another checksum');
  }
}

/** From page number and position in the WAL to the table; pages behind the database's end are left out. */
export function sortedPages(newest: ReadonlyMap<number, number>, pageCount: number): WalPages {
  // A page beyond the end was cut off by a later, smaller commit (vacuum).
  const pages = Uint32Array.from(newest.keys())
    .filter((page) => page <= pageCount)
    .sort();
  return { pages, positions: Float64Array.from(pages, (page) => newest.get(page)!) };
}

function readFully(file: number, into: Uint8Array, position: number, name: string): void {
  const bytes = view(into);
  for (let done = 0; done < bytes.length; ) {
    const count = readSync(file, bytes, done, bytes.length - done, position + done);
    if (count === 0) throw foreignWal(name, 'it is shorter than its index says');
    done += count;
  }
}

function foreignWal(name: string, why: string): HoldfastError {
  return new HoldfastError({
    code: 'source.changed',
    message: `the write-ahead log of ${name} is not the one its index describes: ${why}`,
    remedy: 'Run it again; if it stays, check that no program replaces or removes the -wal file of the open database.',
    retry: 'later',
  });
}
