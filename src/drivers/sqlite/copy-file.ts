/** A copy of an open file, which others may make longer or shorter meanwhile. */
import { constants } from 'node:fs';
import { chmod, copyFile, type FileHandle, open, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemPath } from '../../base/names.ts';
import type { Host } from '../../hosts/host.ts';

export interface FileCopy {
  readonly from: FileHandle;
  /** A new file. */
  readonly path: string;
  /** This machine. */
  readonly local: Pick<Host, 'copyRange'>;
  /** What lies behind is not wanted. Absent: everything. */
  readonly limitBytes?: number;
  /** Bytes the kernel copies at a time. */
  readonly pieceBytes?: number;
  /** Called before each piece; throws to end the copying. */
  readonly check: () => void;
}

export interface CopiedFile {
  /** Open for reading and writing, readable by its owner alone. Not flushed. */
  readonly file: FileHandle;
  /** What the source had, at most the limit. */
  readonly bytes: number;
}

/** In the kernel; 30 ms each from the cache, a second from a slow disk: after each a copy can be cancelled. */
const usualPieceBytes = 64 << 20;
/** Through this process: larger ones were measured slower. */
const blockBytes = 256 << 10;

/** Types of file systems (statfs(2)) that cannot share blocks, ext4 and tmpfs: a try was measured to cost as much as copying 100 MB. */
const neverShares: readonly number[] = [0xef53, 0x01021994];

/**
 * Ends where the source ends at that moment, also if it was longer before: what the copy is worth is for the caller to find
 * out. Without copying where the file system can share blocks (xfs, btrfs). Exclusive, because then the file is never
 * truncated: ext4 starts to write a truncated file to the disk when it is closed, and closing waits for that.
 */
export async function copyOpenFile(copy: FileCopy): Promise<CopiedFile> {
  copy.check();
  if (await shareBlocks(copy)) {
    // It has the mode of the source, which may not be writable for its owner.
    await chmod(systemPath(copy.path), 0o600);
    const file = await open(systemPath(copy.path), 'r+');
    return { file, bytes: Math.min((await file.stat()).size, copy.limitBytes ?? Number.MAX_SAFE_INTEGER) };
  }
  const file = await open(systemPath(copy.path), 'wx+', 0o600);
  try {
    const inKernel = await copyInKernel(copy, file);
    return { file, bytes: await copyThroughHere(copy, file, inKernel) };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** By descriptor: the name may lead to another file by now. Whatever keeps it from being done, copying says what is wrong. */
async function shareBlocks({ from, path }: FileCopy): Promise<boolean> {
  if (neverShares.includes((await statfs(systemPath(dirname(path)))).type)) return false;
  const flags = constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE;
  return await copyFile(`/proc/self/fd/${from.fd}`, systemPath(path), flags).then(
    () => true,
    () => false,
  );
}

/** How many bytes it got; what the kernel cannot do is left to `copyThroughHere`. `from` is read by position everywhere else. */
async function copyInKernel(copy: FileCopy, to: FileHandle): Promise<number> {
  const { from, local, limitBytes = Number.MAX_SAFE_INTEGER, pieceBytes = usualPieceBytes, check } = copy;
  let done = 0;
  while (local.copyRange && done < limitBytes) {
    check();
    const length = Math.min(pieceBytes, limitBytes - done);
    const count = await local.copyRange(from.fd, to.fd, length).catch(() => 0);
    if (count === 0) break;
    done += count;
  }
  return done;
}

async function copyThroughHere(copy: FileCopy, to: FileHandle, start: number): Promise<number> {
  const { from, limitBytes = Number.MAX_SAFE_INTEGER, check } = copy;
  const buffer = Buffer.allocUnsafe(blockBytes);
  let done = start;
  while (done < limitBytes) {
    check();
    const { bytesRead } = await from.read(buffer, 0, Math.min(blockBytes, limitBytes - done), done);
    if (bytesRead === 0) break;
    await writeAll(to, buffer.subarray(0, bytesRead), done);
    done += bytesRead;
  }
  return done;
}

async function writeAll(to: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await to.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
