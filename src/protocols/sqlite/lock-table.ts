/**
 * The kernel's table of file locks (proc_locks(5)), to prove that another process really holds SQLite's locks: file systems
 * and VFS variants exist that say yes to a lock and take none. Lock bytes: sqlite.org/walformat.html §2.3.1, os_unix.c.
 */
import { readFile } from 'node:fs/promises';
import { systemCode } from '../../base/errors.ts';

export interface FileLock {
  readonly pid: number;
  readonly inode: bigint;
  readonly kind: 'READ' | 'WRITE';
  readonly start: number;
  /** Inclusive; Infinity for "to the end". */
  readonly end: number;
}

/** In the main file: a reader holds a part of these 510 bytes. */
export const sharedLockByte = 0x4000_0002;
/** In the `-shm` file: read mark k is byte 123 + k, 0 ≤ k ≤ 4. */
export const readMarkByte = 123;
/** In the `-shm` file: whoever shares the wal-index with others holds this one. A read-only user alone with a stale index does not. */
export const sharedIndexByte = 128;

/** Parses the whole table; lines of other forms (flocks, waiters `->`) are left out. */
export function parseLockTable(text: string): FileLock[] {
  const pattern = /^\d+: (?:POSIX|OFDLCK)\s+\S+\s+(READ|WRITE)\s+(-?\d+) [0-9a-f]+:[0-9a-f]+:(\d+) (\d+) (\d+|EOF)$/;
  return text.split('\n').flatMap((line) => {
    const match = pattern.exec(line.trim());
    if (!match) return [];
    const [, kind, pid, inode, start, end] = match;
    return [
      {
        pid: Number(pid),
        inode: BigInt(inode),
        kind: kind === 'READ' ? ('READ' as const) : ('WRITE' as const),
        start: Number(start),
        end: end === 'EOF' ? Number.POSITIVE_INFINITY : Number(end),
      },
    ];
  });
}

/** The table, or `undefined` on systems without one. Only processes of our own pid namespace are listed. */
export async function readLockTable(path = '/proc/locks'): Promise<FileLock[] | undefined> {
  try {
    return parseLockTable(await readFile(path, 'utf8'));
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'EACCES') return undefined;
    throw error;
  }
}

export function holdsByte(locks: readonly FileLock[], pid: number, byte: number): boolean {
  return locks.some((lock) => lock.pid === pid && lock.start <= byte && byte <= lock.end);
}

/** The read mark (0–4) a process holds; `undefined` if none. By process alone: stacked file systems list other inodes than stat gives. */
export function heldReadMark(locks: readonly FileLock[], pid: number): number | undefined {
  return [0, 1, 2, 3, 4].find((mark) => holdsByte(locks, pid, readMarkByte + mark));
}
