/** Index files (restic design.rst, "Indexing"): which blobs lie in which packs. */
import { arrayOf, countOf, idOf, malformed, objectOf, parseObject } from './malformed.ts';
import type { PackEntry } from './pack-header.ts';

const mostBytes = 2 ** 32 - 1;

export function encodeIndexFile(
  packs: readonly { readonly id: string; readonly entries: readonly PackEntry[] }[],
): Uint8Array {
  const json = {
    packs: packs.map((pack) => ({
      id: pack.id,
      blobs: pack.entries.map((entry) => ({
        id: Buffer.from(entry.id).toString('hex'),
        type: entry.type,
        offset: entry.offset,
        length: entry.length,
        ...(entry.uncompressedLength > 0 ? { uncompressed_length: entry.uncompressedLength } : {}),
      })),
    })),
  };
  return Buffer.from(JSON.stringify(json));
}

/** Calls `visit` for each pack. Memory: the parsed JSON of one file. */
export function decodeIndexFile(
  bytes: Uint8Array,
  visit: (packId: string, entries: readonly PackEntry[]) => void,
): void {
  const json = parseObject(bytes, 'an index file');
  for (const item of arrayOf(json.packs ?? [], 'an index file’s packs')) {
    const pack = objectOf(item, 'a pack in an index file');
    const blobs = arrayOf(pack.blobs, 'an index file’s blobs');
    visit(idOf(pack.id, 'a pack’s id'), blobs.map(decodeBlob));
  }
}

function decodeBlob(item: unknown): PackEntry {
  const blob = objectOf(item, 'a blob in an index file');
  const { type } = blob;
  if (type !== 'data' && type !== 'tree') throw malformed('a blob in an index file', 'its type is not known');
  return {
    type,
    id: Buffer.from(idOf(blob.id, 'a blob’s id'), 'hex'),
    offset: countOf(blob.offset, 'a blob’s offset', { most: mostBytes }),
    length: countOf(blob.length, 'a blob’s length', { most: mostBytes }),
    uncompressedLength: countOf(blob.uncompressed_length, 'a blob’s uncompressed length', {
      absent: 0,
      most: mostBytes,
    }),
  };
}
