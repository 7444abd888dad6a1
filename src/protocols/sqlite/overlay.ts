/**
 * One consistent state of a WAL database as a stream of bytes: the main file's pages in order, each replaced by its newest
 * committed version in the WAL. What it gives is a complete database file that needs no `-wal`.
 *
 * Why it is never torn while a read mark is held in another process (wal.c): a checkpoint copies frames into the main file
 * only up to the oldest mark in use, so a page that changes under our hands is one whose newest version lies in our frames
 * and is laid over; and the WAL is not restarted while any mark but 0 is in use. With mark 0 no checkpoint runs at all, and
 * `pages` is empty.
 */
import { readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { view } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import { systemPath } from '../../base/names.ts';
import { noWalPages, type WalPages } from './wal.ts';

/** Larger reads were measured slower: the target pages fall out of the CPU's cache before they are used. */
const readBytes = 1 << 20;

export interface DatabaseState {
  readonly pageBytes: number;
  /** Bytes of the state: a multiple of the page size, or the main file's own length if it never saw a WAL. */
  readonly sizeBytes: number;
  readonly wal: WalPages;
}

/** What a stream reads from. `main` is asked for one stretch after another, from the start. */
export interface OverlaySource {
  readonly main: {
    read(into: Buffer, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
  };
  readonly wal?: { readonly fd: number };
}

/** The open files of a database. Must live in a process that never opens it with SQLite: closing them drops that process's locks. */
export interface DatabaseFiles extends OverlaySource {
  readonly main: FileHandle;
  readonly wal?: FileHandle;
}

export async function openDatabaseFiles(mainPath: string, withWal: boolean): Promise<DatabaseFiles> {
  const main = await open(systemPath(mainPath), 'r');
  if (!withWal) return { main };
  try {
    return { main, wal: await open(systemPath(`${mainPath}-wal`), 'r') };
  } catch (error) {
    await closeDatabaseFiles({ main });
    throw error;
  }
}

export async function closeDatabaseFiles(files: DatabaseFiles): Promise<void> {
  await files.main.close();
  await files.wal?.close();
}

/**
 * Reads a state from its start. Several may read the same files at once; none closes them.
 * `check` is called before and after every read and throws when the state is no longer held.
 * Memory: nothing but the caller's buffer. Errors: what `check` throws; system errors of the reads.
 */
export class OverlayStream {
  readonly #files: OverlaySource;
  readonly #state: DatabaseState;
  readonly #check: () => void;
  #position = 0;
  #next = 0;

  constructor(files: OverlaySource, state: DatabaseState, check: () => void) {
    this.#files = files;
    this.#state = state;
    this.#check = check;
  }

  /** Fills `into` as far as the state goes and returns the count; 0 at the end. */
  async read(into: Uint8Array): Promise<number> {
    const buffer = view(into);
    const count = Math.min(buffer.length, this.#state.sizeBytes - this.#position);
    this.#check();
    for (let done = 0; done < count; ) {
      const part = Math.min(readBytes, count - done);
      await this.#readPart(buffer.subarray(done, done + part));
      done += part;
    }
    this.#check();
    return count;
  }

  async #readPart(part: Buffer): Promise<void> {
    for (let done = 0; done < part.length; ) {
      const { bytesRead } = await this.#files.main.read(part, done, part.length - done, this.#position + done);
      if (bytesRead === 0) {
        // Past the main file's end: pages that lie in the WAL alone, or free pages that were never written.
        part.fill(0, done);
        break;
      }
      done += bytesRead;
    }
    this.#layOver(part);
    this.#position += part.length;
  }

  /** Replaces what the WAL has newer. A read may start or end within a page. */
  #layOver(part: Buffer): void {
    const { pageBytes, wal } = this.#state;
    const start = this.#position;
    const end = start + part.length;
    while (this.#next < wal.pages.length) {
      const pageStart = (wal.pages[this.#next] - 1) * pageBytes;
      if (pageStart >= end) return;
      const from = Math.max(pageStart, start);
      const to = Math.min(pageStart + pageBytes, end);
      readFrame(this.#files, part.subarray(from - start, to - start), wal.positions[this.#next] + (from - pageStart));
      if (to < pageStart + pageBytes) return;
      this.#next++;
    }
  }
}

/** Synchronous: a frame is a few microseconds from the page cache, a tenth of what a trip through the thread pool costs. */
export function readFrame(files: OverlaySource, into: Buffer, position: number): void {
  const wal = files.wal;
  const count = wal === undefined ? 0 : readSync(wal.fd, into, 0, into.length, position);
  if (count !== into.length) {
    throw new HoldfastError({
      code: 'source.changed',
      message: 'the write-ahead log became shorter while it was read',
      remedy: 'Run it again; if it stays, check that no program truncates the -wal file of the open database.',
      retry: 'later',
    });
  }
}

/** A state without WAL: the main file as it is. */
export function plainState(pageBytes: number, sizeBytes: number): DatabaseState {
  return { pageBytes, sizeBytes, wal: noWalPages };
}
