/** A held state as a file: the main file in the kernel, then the WAL's frames over it. */
import { constants, writeSync } from 'node:fs';
import { copyFile, type FileHandle, open } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { systemPath } from '../../base/names.ts';
import { type DatabaseFiles, type DatabaseState, kernelCopies, readFrame } from '../../protocols/sqlite/overlay.ts';
import { fileKey } from './place.ts';

/** Pages between two looks at the event loop: about 2 ms. */
const pagesPerTurn = 256;

/**
 * Makes the new file `path` equal to the state. In which order pages are copied does not matter: one that a checkpoint writes
 * meanwhile is among those laid over (`protocols/sqlite/overlay.ts`). Not flushed. Memory: one page.
 * `check` is called before the first byte is read, after the last, and between; it throws when the state is no longer held.
 */
export async function copyState(
  files: DatabaseFiles,
  state: DatabaseState,
  path: string,
  check: () => void,
): Promise<void> {
  check();
  await copyMain(files.main, path);
  await using copy = await open(systemPath(path), 'r+');
  await copy.chmod(0o600);
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

/**
 * By descriptor: the name may lead to another file by now. Exclusive, because then the file is never truncated: ext4 starts to
 * write a truncated file to the disk when it is closed, and closing waits for that. Without copying where the file system can
 * share blocks (xfs, btrfs).
 */
async function copyMain(main: FileHandle, path: string): Promise<void> {
  const copied = fileKey(await main.stat({ bigint: true }));
  kernelCopies.push(copied);
  try {
    const flags = constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE;
    await copyFile(`/proc/self/fd/${main.fd}`, systemPath(path), flags);
  } finally {
    kernelCopies.splice(kernelCopies.indexOf(copied), 1);
  }
}

function writePage(copy: FileHandle, page: Buffer, position: number): void {
  for (let done = 0; done < page.length; ) {
    done += writeSync(copy.fd, page, done, page.length - done, position + done);
  }
}
