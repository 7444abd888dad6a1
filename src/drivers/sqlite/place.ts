/** Where a database lies: the name it was asked for, and the file that name leads to. */
import { open, readdir, realpath, stat, statfs } from 'node:fs/promises';
import { HoldfastError, systemCode } from '../../base/errors.ts';
import { decodeName, systemPath } from '../../base/names.ts';
import type { Host } from '../../hosts/host.ts';
import {
  type DatabaseHeader,
  databaseHeaderBytes,
  parseDatabaseHeader,
} from '../../protocols/sqlite/database-header.ts';
import { copyDescriptors, kernelCopies } from '../../protocols/sqlite/overlay.ts';

export interface Place {
  /** As configured. */
  readonly path: string;
  /** With symlinks resolved, as SQLite does: `-wal`, `-shm` and `-journal` lie beside this one. */
  readonly realPath: string;
  readonly sizeBytes: number;
  /** `undefined` for the empty file, which is an empty database. */
  readonly header?: DatabaseHeader;
}

/** On this machine files are read by descriptor, and the program that holds the locks is one of ours. */
export function isLocal(host: Host): boolean {
  return host.kind === 'local';
}

/** The path without symbolic links. */
export async function resolveHere(path: string): Promise<string> {
  return decodeName(await realpath(systemPath(path), 'buffer'));
}

/** Looks without SQLite. `source.missing`, `source.unreadable`, `source.unsupported` (no database, encrypted, no regular file). */
export async function findDatabase(path: string): Promise<Place> {
  try {
    const realPath = await resolveHere(path);
    const found = await stat(systemPath(realPath));
    if (!found.isFile()) throw notADatabase(path, 'is no regular file');
    await refuseOwn(path, realPath);
    if (found.size === 0) return { path, realPath, sizeBytes: 0 };
    const header = parseDatabaseHeader(await readHead(realPath));
    if (!header) throw notADatabase(path, 'is no SQLite database, or is encrypted');
    return { path, realPath, sizeBytes: found.size, header };
  } catch (error) {
    throw placeFailure(path, error);
  }
}

/**
 * Closing a file drops every POSIX lock its process holds on it, so a database that this process itself has open with SQLite
 * must not be touched from here at all. Descriptors of our own copies under way do not count.
 */
async function refuseOwn(path: string, realPath: string): Promise<void> {
  const file = await stat(systemPath(realPath), { bigint: true });
  const descriptors = await readdir('/proc/self/fd').catch(() => []);
  let unnamed = kernelCopies.filter((copied) => copied === fileKey(file)).length;
  for (const name of descriptors) {
    if (copyDescriptors.has(Number(name))) continue;
    const own = await stat(`/proc/self/fd/${name}`, { bigint: true }).catch(() => undefined);
    if (own === undefined || fileKey(own) !== fileKey(file) || unnamed-- > 0) continue;
    throw new HoldfastError({
      code: 'source.unsupported',
      message: `${path} is open in Holdfast itself, which cannot copy it without losing its own locks`,
      remedy: 'Back it up from another process: run holdfast backup on the command line.',
    });
  }
}

/** One file of this machine, whatever its name. */
export function fileKey({ dev, ino }: { readonly dev: bigint; readonly ino: bigint }): string {
  return `${dev}:${ino}`;
}

async function readHead(path: string): Promise<Buffer> {
  await using file = await open(systemPath(path), 'r');
  const { buffer, bytesRead } = await file.read(Buffer.alloc(databaseHeaderBytes), 0, databaseHeaderBytes, 0);
  return buffer.subarray(0, bytesRead);
}

export function notADatabase(path: string, what: string): HoldfastError {
  return new HoldfastError({
    code: 'source.unsupported',
    message: `${path} ${what}`,
    remedy:
      'Check the path. Use the files driver for files that are no SQLite database; an encrypted database has to be copied by its own program.',
  });
}

function placeFailure(path: string, error: unknown): unknown {
  const code = systemCode(error);
  if (error instanceof HoldfastError || code === undefined) return error;
  const missing = code === 'ENOENT' || code === 'ENOTDIR';
  return new HoldfastError({
    code: missing ? 'source.missing' : 'source.unreadable',
    message: missing ? `there is no file ${path}` : `the database ${path} cannot be read: ${code}`,
    remedy: missing ? 'Correct the path of the source.' : 'Let Holdfast run as a user who may read it.',
    cause: error,
  });
}

/** Bytes a user without privileges may still write where `path` lies. */
export async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(systemPath(path));
  return bavail * bsize;
}

/** Bytes of the write-ahead log now; 0 if there is none. */
export async function walBytes(realPath: string): Promise<number> {
  try {
    return (await stat(systemPath(`${realPath}-wal`))).size;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return 0;
    throw error;
  }
}
