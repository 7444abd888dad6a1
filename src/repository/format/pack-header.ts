/** The header of a pack (restic design.rst, "Pack Format"): per blob a type byte, lengths, an id. */
import { view } from '../../base/bytes.ts';
import type { BlobType } from '../blob-index.ts';
import { malformed } from './malformed.ts';

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

const plainEntryBytes = 37;
const compressedEntryBytes = 41;
/** An empty blob sealed. */
const leastLength = 32;

export function encodePackHeader(entries: readonly PackEntry[]): Uint8Array {
  const bytes = Buffer.alloc(entries.reduce((sum, entry) => sum + entryBytes(entry), 0));
  let at = 0;
  for (const entry of entries) {
    const compressed = entry.uncompressedLength > 0;
    bytes[at] = (entry.type === 'tree' ? 1 : 0) + (compressed ? 2 : 0);
    bytes.writeUInt32LE(entry.length, at + 1);
    if (compressed) bytes.writeUInt32LE(entry.uncompressedLength, at + 5);
    at += entryBytes(entry);
    bytes.set(entry.id, at - 32);
  }
  return bytes;
}

function entryBytes(entry: PackEntry): number {
  return entry.uncompressedLength > 0 ? compressedEntryBytes : plainEntryBytes;
}

/** The entries in order, their offsets counted up from 0. The ids are views of `header`. */
export function decodePackHeader(header: Uint8Array): PackEntry[] {
  const bytes = view(header);
  const entries: PackEntry[] = [];
  let offset = 0;
  for (let at = 0; at < bytes.byteLength; ) {
    const entry = decodeEntry(bytes, at, offset);
    entries.push(entry);
    offset += entry.length;
    at += entryBytes(entry);
  }
  return entries;
}

function decodeEntry(bytes: Buffer, at: number, offset: number): PackEntry {
  const kind = bytes[at];
  if (kind > 3) throw malformed('a pack header', `blob type ${kind} is not known`);
  const compressed = kind >= 2;
  const size = compressed ? compressedEntryBytes : plainEntryBytes;
  if (at + size > bytes.byteLength) throw malformed('a pack header', 'it ends in the middle of an entry');
  const length = bytes.readUInt32LE(at + 1);
  const uncompressedLength = compressed ? bytes.readUInt32LE(at + 5) : 0;
  if (length < leastLength) throw malformed('a pack header', 'a blob is shorter than its seal');
  if (compressed && uncompressedLength === 0) throw malformed('a pack header', 'a compressed blob is empty');
  const id = bytes.subarray(at + size - 32, at + size);
  return { type: kind % 2 === 1 ? 'tree' : 'data', id, offset, length, uncompressedLength };
}
