/**
 * The first 100 bytes of a SQLite database file ("Database File Format", sqlite.org/fileformat2.html §1.3). Big-endian.
 */
import { view } from '../../base/bytes.ts';

export const databaseHeaderBytes = 100;
const magic = Buffer.from('SQLite format 3\0', 'latin1');

export interface DatabaseHeader {
  /** 512 … 65536, a power of two. */
  readonly pageBytes: number;
  /** Write version 2: the database is in WAL mode; 1: a rollback journal. */
  readonly journal: 'wal' | 'rollback';
  /** Raised by every commit in rollback mode; not kept up by commits that still lie in the WAL. */
  readonly changeCounter: number;
  /** Pages as the header says; only true when `changeCounter` equals `validFor`. */
  readonly pageCount: number;
  readonly validFor: number;
  readonly encoding: 'UTF-8' | 'UTF-16le' | 'UTF-16be' | 'none';
  readonly userVersion: number;
  readonly applicationId: number;
  /** SQLITE_VERSION_NUMBER of the library that wrote last, e.g. 3053004. */
  readonly writerVersion: number;
}

/** `undefined` if the bytes are no SQLite header: something else, encrypted, or shorter than a header. */
export function parseDatabaseHeader(bytes: Uint8Array): DatabaseHeader | undefined {
  const header = view(bytes);
  if (header.length < databaseHeaderBytes || !header.subarray(0, 16).equals(magic)) return undefined;
  const raw = header.readUInt16BE(16);
  const pageBytes = raw === 1 ? 65536 : raw;
  if (!isPageSize(pageBytes)) return undefined;
  return {
    pageBytes,
    journal: header[18] === 2 || header[19] === 2 ? 'wal' : 'rollback',
    changeCounter: header.readUInt32BE(24),
    pageCount: header.readUInt32BE(28),
    validFor: header.readUInt32BE(92),
    encoding: (['none', 'UTF-8', 'UTF-16le', 'UTF-16be'] as const)[header.readUInt32BE(56)] ?? 'none',
    userVersion: header.readInt32BE(60),
    applicationId: header.readInt32BE(68),
    writerVersion: header.readUInt32BE(96),
  };
}

export function isPageSize(bytes: number): boolean {
  return bytes >= 512 && bytes <= 65536 && (bytes & (bytes - 1)) === 0;
}

/** `3.53.4` for 3053004. */
export function formatLibraryVersion(version: number): string {
  return `${Math.floor(version / 1_000_000)}.${Math.floor(version / 1000) % 1000}.${version % 1000}`;
}
