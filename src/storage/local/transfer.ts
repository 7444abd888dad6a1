/** Moves bytes between memory (shared or not) and an open file, whatever the kernel does in one call. */
import type { FileHandle } from 'node:fs/promises';
import { HoldfastError, systemCode, throwIfCancelled } from '../../base/errors.ts';
import { isUnsupported } from './io-errors.ts';

/** Buffers per call (IOV_MAX) and bytes per call: between calls a cancelled put stops. */
const maxBuffers = 1024;
const maxBytes = 64 * 1024 * 1024;

interface Position {
  readonly part: number;
  readonly offset: number;
}

/**
 * Writes the parts, sets the mode, flushes to the disk and closes: all of it must succeed, closing too, since NFS reports
 * a full disk there. Returns the file's mtime: what time it is by the storage's clock, in ms since the epoch.
 */
export async function writeDurably(
  file: FileHandle,
  parts: readonly Uint8Array[],
  mode: number,
  signal?: AbortSignal,
): Promise<number> {
  let writtenAtMs: number;
  try {
    await writeAll(file, parts, signal);
    await setMode(file, mode);
    throwIfCancelled(signal);
    await flush(file);
    writtenAtMs = (await file.stat()).mtimeMs;
  } catch (error) {
    // The write's error is the one that tells.
    await file.close().catch(() => undefined);
    throw error;
  }
  await file.close();
  return writtenAtMs;
}

/** Reads until `into` is full or the file ends; returns the bytes read. */
export async function readExactly(
  file: FileHandle,
  offset: number,
  into: Uint8Array,
  signal?: AbortSignal,
): Promise<number> {
  let done = 0;
  while (done < into.byteLength) {
    const { bytesRead } = await file.read(into, done, Math.min(into.byteLength - done, maxBytes), offset + done);
    if (bytesRead === 0) break;
    done += bytesRead;
    throwIfCancelled(signal);
  }
  return done;
}

async function writeAll(file: FileHandle, parts: readonly Uint8Array[], signal?: AbortSignal): Promise<void> {
  let next = position(parts, 0, 0);
  while (next.part < parts.length) {
    throwIfCancelled(signal);
    const { bytesWritten } = await file.writev(nextBuffers(parts, next));
    if (bytesWritten === 0) throw new Error('the file system took no bytes and gave no reason');
    next = position(parts, next.part, next.offset + bytesWritten);
  }
}

/** The byte `offset` bytes after the beginning of a part, as a place in the part that holds it; past empty parts. */
function position(parts: readonly Uint8Array[], from: number, offset: number): Position {
  let part = from;
  let left = offset;
  while (part < parts.length && left >= parts[part].byteLength) left -= parts[part++].byteLength;
  return { part, offset: left };
}

/** What one call writes: never nothing. */
function nextBuffers(parts: readonly Uint8Array[], next: Position): Uint8Array[] {
  const buffers: Uint8Array[] = [];
  let room = maxBytes;
  for (let at = next.part; at < parts.length && room > 0 && buffers.length < maxBuffers; at++) {
    const from = at === next.part ? next.offset : 0;
    const buffer = parts[at].subarray(from, from + room);
    if (buffer.byteLength > 0) buffers.push(buffer);
    room -= buffer.byteLength;
  }
  return buffers;
}

/** Read-only files guard against accidents; exFAT and some network mounts have no modes, and work without. */
async function setMode(file: FileHandle, mode: number): Promise<void> {
  try {
    await file.chmod(mode);
  } catch (error) {
    if (!isUnsupported(error) && systemCode(error) !== 'EPERM') throw error;
  }
}

async function flush(file: FileHandle): Promise<void> {
  try {
    await file.sync();
  } catch (error) {
    if (!isUnsupported(error)) throw error;
    throw new HoldfastError({
      code: 'storage.io',
      message: 'the file system cannot flush a file to its disk (fsync), so nothing stored there would be safe',
      remedy: 'Mount it in another way (the kernel’s NFS or CIFS client rather than a desktop’s), or use SFTP or S3.',
      cause: error,
    });
  }
}
