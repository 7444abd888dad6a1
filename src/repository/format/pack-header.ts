/** The end of a pack (restic design.rst, "Pack Format"): a sealed header with an entry for each blob, and the header's length. */
import { view } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { BlobType } from '../blob-index/blob-index.ts';
import { malformed, unsupported } from './malformed.ts';

export interface PackEntry {
  readonly type: BlobType;
  /** 32 bytes. */
  readonly id: Uint8Array;
  readonly offset: number;
  /** Stored bytes, sealing included. */
  readonly length: number;
  /** Plaintext bytes if compressed, else 0. */
  readonly uncompressedLength: number;
}

/** What a pack's last bytes say. */
export interface PackTail {
  /** Bytes of the sealed header: the last before the length field, which has 4. */
  readonly headerBytes: number;
  /** Bytes of the blobs. */
  readonly bodyBytes: number;
  /** The sealed header as a view of the tail; absent if it begins before it. */
  readonly sealedHeader: Uint8Array | undefined;
}

const plainEntryBytes = 37;
const compressedEntryBytes = 41;
const sealBytes = 32;
const lengthFieldBytes = 4;
/** The limit of restic's reader. */
const mostHeaderBytes = 16 << 20;
const mostPackBytes = 2 ** 32 - 1;
/** An empty blob, sealed. */
export const leastBlobBytes = sealBytes;

/** Bytes of the header of these blobs before it is sealed. */
export function headerLength(entries: readonly PackEntry[]): number {
  return entries.reduce((sum, entry) => sum + entryBytes(entry), 0);
}

function entryBytes(entry: PackEntry): number {
  return entry.uncompressedLength > 0 ? compressedEntryBytes : plainEntryBytes;
}

/** The header of blobs that lie one after another from the pack's beginning; throws `internal` if they do not. */
export function encodePackHeader(entries: readonly PackEntry[]): Uint8Array {
  const bytes = Buffer.alloc(headerLength(entries));
  let at = 0;
  let offset = 0;
  for (const entry of entries) {
    const compressed = entry.uncompressedLength > 0;
    requireStorable(entry, offset);
    bytes[at] = (entry.type === 'tree' ? 1 : 0) + (compressed ? 2 : 0);
    bytes.writeUInt32LE(entry.length, at + 1);
    if (compressed) bytes.writeUInt32LE(entry.uncompressedLength, at + 5);
    at += entryBytes(entry);
    bytes.set(entry.id, at - 32);
    offset += entry.length;
  }
  return bytes;
}

function requireStorable({ id, offset, length, uncompressedLength }: PackEntry, expectedOffset: number): void {
  const inRange = length >= leastBlobBytes && offset + length <= mostPackBytes && uncompressedLength <= mostPackBytes;
  if (offset === expectedOffset && inRange && id.byteLength === 32) return;
  throw new HoldfastError({
    code: 'internal',
    message: `a blob of ${length} bytes at ${offset} cannot be put into the header of a pack`,
    remedy: 'Nothing was stored of this pack. Please report this with the log.',
  });
}

/**
 * The entries in order, their offsets counted up from 0; `repository.damaged` if they do not fill `bodyBytes` exactly, where
 * that is given. The ids are views of `header`. Memory: about 200 bytes an entry.
 */
export function decodePackHeader(header: Uint8Array, bodyBytes?: number): PackEntry[] {
  const bytes = view(header);
  const entries: PackEntry[] = [];
  let offset = 0;
  for (let at = 0; at < bytes.byteLength; ) {
    const entry = entryAt(bytes, at, offset);
    entries.push(entry);
    offset += entry.length;
    at += entryBytes(entry);
  }
  if (offset > mostPackBytes) throw damaged('its blobs are longer than a pack can be');
  if (bodyBytes !== undefined && offset !== bodyBytes) throw damaged('its blobs do not fill the pack');
  return entries;
}

function entryAt(bytes: Buffer, at: number, offset: number): PackEntry {
  const kind = bytes[at];
  if (kind > 3) throw unsupported(`a pack header names a blob of the type ${kind}; types 0 to 3 are known`);
  const compressed = kind >= 2;
  const end = at + (compressed ? compressedEntryBytes : plainEntryBytes);
  if (end > bytes.byteLength) throw damaged('it ends in the middle of an entry');
  const length = bytes.readUInt32LE(at + 1);
  const uncompressedLength = compressed ? bytes.readUInt32LE(at + 5) : 0;
  if (length < leastBlobBytes) throw damaged('a blob is shorter than its seal');
  if (compressed && uncompressedLength === 0) throw damaged('a compressed blob is empty');
  const type = kind % 2 === 1 ? 'tree' : 'data';
  return { type, id: bytes.subarray(end - 32, end), offset, length, uncompressedLength };
}

/** Reads the last bytes of a pack, at least 4 of them. `repository.damaged` if a pack of `packBytes` cannot end so. */
export function parseTail(tail: Uint8Array, packBytes: number): PackTail {
  const least = sealBytes + plainEntryBytes + lengthFieldBytes;
  if (packBytes < least || tail.byteLength < lengthFieldBytes || tail.byteLength > packBytes) {
    throw malformed('a pack', 'it is too short');
  }
  const end = tail.byteLength - lengthFieldBytes;
  const headerBytes = view(tail).readUInt32LE(end);
  const bodyBytes = packBytes - lengthFieldBytes - headerBytes;
  if (headerBytes < sealBytes || headerBytes > mostHeaderBytes || bodyBytes < 0) {
    throw malformed('a pack', `its header cannot be ${headerBytes} bytes long`);
  }
  return {
    headerBytes,
    bodyBytes,
    sealedHeader: headerBytes <= end ? tail.subarray(end - headerBytes, end) : undefined,
  };
}

function damaged(why: string): HoldfastError {
  return malformed('a pack header', why);
}
