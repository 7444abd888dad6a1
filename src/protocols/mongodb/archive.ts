/**
 * The archive of `mongodump --archive`: what its parts are. Source: mongo-tools, common/archive/spec.md (format 0.1).
 *
 *     magic · header · metadata of each collection · END · segments
 *     segment = {db, collection, EOF: false} · documents · END    or    {db, collection, EOF: true, CRC} · END
 *
 * All documents are BSON; END is four bytes of ones, where the length of a document would be. The CRC is that of all
 * documents of the collection, over all its segments.
 */
import { Long, serialize } from 'bson';

/** Little-endian. */
export const archiveMagic = 0x8199e26d;
export const archiveFormat = '0.1';
export const endOfBlock = -1;
/** The largest a stored document may be: what a server takes, and room for what an entry of the oplog adds. */
export const mostDocumentBytes = (16 << 20) + (64 << 10);
export const leastDocumentBytes = 5;

export interface ArchiveHeader {
  readonly serverVersion: string;
  readonly toolVersion: string;
}

export type ArchiveKind = 'collection' | 'view' | 'timeseries';

/** One collection as the beginning of an archive announces it. The oplog is `oplog` of the database ``. */
export interface ArchiveCollection {
  readonly database: string;
  readonly collection: string;
  readonly kind: ArchiveKind;
  /** Options and indexes as canonical Extended JSON; empty for the oplog. */
  readonly metadata: string;
}

/** Where the documents of a collection are: those of a time series are its buckets. Views have none. */
export function dataCollection({ collection, kind }: Pick<ArchiveCollection, 'collection' | 'kind'>): string {
  return kind === 'timeseries' ? `system.buckets.${collection}` : collection;
}

const end = Buffer.from([0xff, 0xff, 0xff, 0xff]);

/** What an archive begins with. */
export function archivePrelude(header: ArchiveHeader, collections: readonly ArchiveCollection[]): Uint8Array {
  const magic = Buffer.alloc(4);
  magic.writeUInt32LE(archiveMagic);
  const { serverVersion, toolVersion } = header;
  const about = { concurrent_collections: 1, version: archiveFormat, server_version: serverVersion };
  const parts = collections.map(({ database, collection, kind, metadata }) =>
    serialize({ db: database, collection, metadata, size: 0, type: kind === 'collection' ? '' : kind }),
  );
  return Buffer.concat([magic, serialize({ ...about, tool_version: toolVersion }), ...parts, end]);
}

/** What stands before the documents of a collection; `segmentEnd` after them. */
export function segmentStart(database: string, collection: string): Uint8Array {
  return serialize({ db: database, collection, EOF: false, CRC: Long.ZERO });
}

export function segmentEnd(): Uint8Array {
  return end;
}

/** No more documents of a collection will come. */
export function collectionEnd(database: string, collection: string, crc: bigint): Uint8Array {
  return Buffer.concat([serialize({ db: database, collection, EOF: true, CRC: Long.fromBigInt(crc) }), end]);
}
