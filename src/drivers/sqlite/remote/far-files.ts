/** Files of another host, as far as a copy of a database needs them: found, looked at, fetched. */
import type { FileHandle } from 'node:fs/promises';
import { hasCode, throwIfCancelled } from '../../../base/errors.ts';
import type { FileReader, Host } from '../../../hosts/host.ts';
import type { NodeAttributes } from '../../../model/node.ts';
import { databaseHeaderBytes, parseDatabaseHeader } from '../../../protocols/sqlite/database-header.ts';
import { notADatabase, type Place } from '../place.ts';

const fetchBytes = 256 * 1024;
const mostLinks = 40;

/** `source.missing`, `source.unreadable`, `source.unsupported` (no database, encrypted, no regular file). */
export async function findFarDatabase(host: Host, path: string): Promise<Place> {
  const realPath = await resolveThere(host, path);
  const found = await host.files.attributes(realPath);
  if (found.type !== 'file') throw notADatabase(path, 'is no regular file');
  if (found.size === 0) return { path, realPath, sizeBytes: 0 };
  const header = parseDatabaseHeader(await headOf(host, realPath, databaseHeaderBytes));
  if (!header) throw notADatabase(path, 'is no SQLite database, or is encrypted');
  return { path, realPath, sizeBytes: found.size, header };
}

/** The path without symbolic links, as SQLite follows them. What does not exist throws `source.missing`. */
export async function resolveThere(host: Host, path: string): Promise<string> {
  const ahead = componentsOf(path);
  const at: string[] = [];
  for (let links = 0; ahead.length > 0; ) {
    const name = ahead.pop()!;
    if (name === '..') {
      at.pop();
      continue;
    }
    const { type, linkTarget } = await host.files.attributes(`/${[...at, name].join('/')}`);
    if (type !== 'symlink' || linkTarget === undefined) {
      at.push(name);
      continue;
    }
    if (++links > mostLinks) throw notADatabase(path, 'leads through too many symbolic links');
    if (linkTarget.startsWith('/')) at.length = 0;
    ahead.push(...componentsOf(linkTarget));
  }
  return `/${at.join('/')}`;
}

/** The last first. */
function componentsOf(path: string): string[] {
  return path
    .split('/')
    .filter((name) => name !== '' && name !== '.')
    .reverse();
}

/** `undefined` if there is nothing of that name. */
export async function lookAt(host: Host, path: string): Promise<NodeAttributes | undefined> {
  try {
    return await host.files.attributes(path);
  } catch (error) {
    if (hasCode(error, 'source.missing')) return undefined;
    throw error;
  }
}

/** The first bytes of a file, fewer if it is shorter; none if it does not exist. */
export async function headOf(host: Host, path: string, bytes: number): Promise<Buffer> {
  const reader = await openIfThere(host, path);
  if (!reader) return Buffer.alloc(0);
  try {
    const head = Buffer.alloc(bytes);
    return head.subarray(0, await fill(reader, head));
  } finally {
    await reader.close();
  }
}

async function openIfThere(host: Host, path: string): Promise<FileReader | undefined> {
  try {
    return await host.files.open(path);
  } catch (error) {
    if (hasCode(error, 'source.missing')) return undefined;
    throw error;
  }
}

/** Reads until `into` is full or the file ends. */
export async function fill(reader: FileReader, into: Uint8Array): Promise<number> {
  let done = 0;
  while (done < into.length) {
    const count = await reader.read(into.subarray(done));
    if (count === 0) break;
    done += count;
  }
  return done;
}

export interface Fetch {
  readonly host: Host;
  readonly path: string;
  readonly into: FileHandle;
  /** No more than this much from the start: a file may grow faster than it is read. */
  readonly limitBytes: number;
  readonly signal: AbortSignal;
}

/** Copies what there is of a file up to a limit to a local one; returns the bytes. A missing file is an empty one. Memory: 256 KiB. */
export async function fetchFile({ host, path, into, limitBytes, signal }: Fetch): Promise<number> {
  const reader = await openIfThere(host, path);
  if (!reader) return 0;
  const buffer = Buffer.allocUnsafe(fetchBytes);
  let done = 0;
  try {
    while (done < limitBytes) {
      throwIfCancelled(signal);
      const count = await fill(reader, buffer.subarray(0, Math.min(buffer.length, limitBytes - done)));
      if (count === 0) break;
      await writeFully(into, buffer.subarray(0, count), done);
      done += count;
    }
    return done;
  } finally {
    await reader.close();
  }
}

export async function writeFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** What tells a file from itself after a write. */
export interface FarIdentity {
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly inode: bigint;
}

/** A host that knows no device (plain SFTP, a container without a shell) knows neither inode nor ctime: those it gives are made up. */
export function identityOf({ size, mtimeNs, ctimeNs, inode, deviceId }: NodeAttributes): FarIdentity {
  return deviceId === 0n ? { size, mtimeNs, ctimeNs: 0n, inode: 0n } : { size, mtimeNs, ctimeNs, inode };
}

export function sameFarIdentity(a: FarIdentity | undefined, b: FarIdentity | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs && a.inode === b.inode;
}

/**
 * How long two looks at a file must lie apart so that equal times prove that nothing was written between the first look and
 * any later one that finds them equal too: longer than the unit in which the times are kept. Whole seconds (SFTP version 3,
 * old file systems) need more than one second, FAT two; the kernel's own clock moves in steps of up to 10 ms.
 */
export function settleMs(identity: FarIdentity): number {
  const wholeSeconds = [identity.mtimeNs, identity.ctimeNs].every((time) => time % 1_000_000_000n === 0n);
  return wholeSeconds ? 2500 : 50;
}
