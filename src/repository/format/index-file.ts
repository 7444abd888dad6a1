/** Index files (restic design.rst, "Indexing"): which blobs lie in which packs. */
import { toHex } from '../../base/bytes.ts';
import type { BlobType } from '../blob-index/blob-index.ts';
import { JsonReader } from './json-reader.ts';
import { unsupported } from './malformed.ts';
import { leastBlobBytes, type PackEntry } from './pack-header.ts';
import { scanBlobs } from './scan-blobs.ts';

export interface PackBlobs {
  /** 64 hex digits. */
  readonly id: string;
  readonly entries: readonly PackEntry[];
}

const mostBytes = 2 ** 32 - 1;

/** Memory: twice the file, which has about 150 bytes a blob. */
export function encodeIndexFile(packs: readonly PackBlobs[]): Uint8Array {
  let json = '{"packs":[';
  let between = '';
  for (const { id, entries } of packs) {
    json += `${between}{"id":"${id}","blobs":[${entries.map(blobJson).join(',')}]}`;
    between = ',';
  }
  // restic's encoder ends an index, unlike other files, with a newline.
  return Buffer.from(`${json}]}\n`, 'latin1');
}

function blobJson({ id, type, offset, length, uncompressedLength }: PackEntry): string {
  const json = `{"id":"${toHex(id)}","type":"${type}","offset":${offset},"length":${length}`;
  return uncompressedLength > 0 ? `${json},"uncompressed_length":${uncompressedLength}}` : `${json}}`;
}

/**
 * Calls `visit` for each pack, in order; packs before a fault have been visited when it throws. Old programs' `supersedes`
 * is passed over, as restic does: which files an index replaces shows when they are gone. Memory: the blobs of one pack.
 */
export function decodeIndexFile(
  bytes: Uint8Array,
  visit: (packId: string, entries: readonly PackEntry[]) => void,
): void {
  const reader = new JsonReader(bytes, 'an index file');
  reader.object((name) => {
    if (name === 'packs') reader.list(() => readPack(reader, visit));
    else reader.other();
  });
  reader.end();
}

function readPack(reader: JsonReader, visit: (packId: string, entries: readonly PackEntry[]) => void): void {
  let id = '';
  let entries: readonly PackEntry[] = [];
  reader.object((name) => {
    if (name === 'id') id = reader.id();
    else if (name === 'blobs') entries = entries.length === 0 ? blobs(reader) : [...entries, ...blobs(reader)];
    else reader.other();
  });
  if (id === '') throw reader.malformed('a pack has no id');
  visit(id, entries);
}

function blobs(reader: JsonReader): readonly PackEntry[] {
  const scanned = reader.scan(scanBlobs);
  if (scanned) return scanned.entries;
  const entries: PackEntry[] = [];
  reader.list(() => entries.push(readBlob(reader)));
  return entries;
}

function readBlob(reader: JsonReader): PackEntry {
  const id = new Uint8Array(32);
  let known = false;
  let type: BlobType | undefined;
  const place = { offset: 0, length: 0, uncompressedLength: 0 };
  reader.object((name) => {
    if (name === 'id') {
      reader.idInto(id, 0);
      known = true;
    } else if (name === 'type') type = typeOf(reader.text());
    else if (name === 'offset') place.offset = reader.count(mostBytes);
    else if (name === 'length') place.length = reader.count(mostBytes);
    else if (name === 'uncompressed_length') place.uncompressedLength = reader.count(mostBytes);
    else reader.other();
  });
  const { offset, length, uncompressedLength } = place;
  if (!known || type === undefined) throw reader.malformed('a blob has no id or no type');
  if (length < leastBlobBytes) throw reader.malformed('a blob is shorter than its seal');
  return { type, id, offset, length, uncompressedLength };
}

function typeOf(text: string): BlobType {
  if (text === 'data' || text === 'tree') return text;
  throw unsupported(`an index file names blobs of the type «${text.slice(0, 20)}»; data and tree are known`);
}
