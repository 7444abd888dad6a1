/** A held state as a file: the main file in the kernel, then the WAL's frames over it. */
import { writeSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { HoldfastError } from '../../base/errors.ts';
import type { Host } from '../../hosts/host.ts';
import { type DatabaseFiles, type DatabaseState, readFrame } from '../../protocols/sqlite/overlay.ts';
import { copyOpenFile } from './copy-file.ts';

/** Pages between two looks at the event loop: about 2 ms. */
const pagesPerTurn = 256;

export interface StateCopy {
  readonly files: DatabaseFiles;
  readonly state: DatabaseState;
  /** A new file. */
  readonly path: string;
  /** This machine. */
  readonly local: Pick<Host, 'copyRange'>;
  readonly check: () => void;
}

/**
 * Makes the new file `path` equal to the state. In which order pages are copied does not matter: one that a checkpoint writes
 * meanwhile is among those laid over (`protocols/sqlite/overlay.ts`). Not flushed. Memory: one page.
 * `check` is called before the first byte is read, after the last, and between; it throws when the state is no longer held.
 * `source.changed` if the main file lost pages of the state meanwhile, which SQLite never does.
 */
export async function copyState({ files, state, path, local, check }: StateCopy): Promise<void> {
  const before = (await files.main.stat()).size;
  const copied = await copyOpenFile({ from: files.main, path, local, limitBytes: state.sizeBytes, check });
  await using copy = copied.file;
  // A checkpoint cuts the main file down to this very state at most (walCheckpoint: only if every frame is in it).
  if (copied.bytes < Math.min(before, state.sizeBytes)) throw becameShorter();
  // Longer than the main file: pages that lie in the WAL alone, or free ones that were never written. Shorter: vacuumed.
  await copy.truncate(state.sizeBytes);
  const page = Buffer.allocUnsafe(state.pageBytes);
  for (const [i, number] of state.wal.pages.entries()) {
    if (i % pagesPerTurn === 0) {
      check();
      await nextTurn();
    }
    readFrame(files, page, state.wal.positions[i]);
    writePage(copy, page, (number - 1) * state.pageBytes);
  }
  check();
}

function becameShorter(): HoldfastError {
  return new HoldfastError({
    code: 'source.changed',
    message: 'the database became shorter than the state that was held while it was copied',
    remedy: 'Run it again; if it stays, check that no program but SQLite writes to the file.',
    retry: 'later',
  });
}

function writePage(copy: FileHandle, page: Buffer, position: number): void {
  for (let done = 0; done < page.length; ) {
    done += writeSync(copy.fd, page, done, page.length - done, position + done);
  }
}
