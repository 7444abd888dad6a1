/** Where a database lies: the name it was asked for, and the file that name leads to. */
import { open, realpath, stat, statfs } from 'node:fs/promises';
import { HoldfastError, systemCode } from '../../base/errors.ts';
import { decodeName, systemPath } from '../../base/names.ts';
import { openDatabaseAt } from '../../base/open-databases.ts';
import type { Host } from '../../hosts/host.ts';
import {
  type DatabaseHeader,
  databaseHeaderBytes,
  parseDatabaseHeader,
} from '../../protocols/sqlite/database-header.ts';

export interface Place {
  /** As configured. */
  readonly path: string;
  /** With symlinks resolved, as SQLite does: `-wal`, `-shm` and `-journal` lie beside this one. */
  readonly realPath: string;
  readonly sizeBytes: number;
  /** `undefined` for the empty file, which is an empty database. */
  readonly header?: DatabaseHeader;
  /** This process has it open: it must not be opened in any other way here (`base/open-databases.ts`), and was not looked into. */
  readonly isOwn?: true;
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
    if (openDatabaseAt(systemPath(realPath)) !== undefined)
      return { path, realPath, sizeBytes: found.size, isOwn: true };
    if (found.size === 0) return { path, realPath, sizeBytes: 0 };
    const header = parseDatabaseHeader(await readHead(realPath));
    if (!header) throw notADatabase(path, 'is no SQLite database, or is encrypted');
    return { path, realPath, sizeBytes: found.size, header };
  } catch (error) {
    throw placeFailure(path, error);
  }
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
