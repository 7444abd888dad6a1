/** Reading single blobs and trees on the main thread: for trees, listings and small files. Bulk reading goes through workers. */
import { hash } from 'node:crypto';
import { equalBytes, toHex } from '../../base/bytes.ts';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import type { Node } from '../../model/node.ts';
import type { BlobIndex, BlobType } from '../blob-index/blob-index.ts';
import { idBytesOf, loadIndex } from '../blob-index/index-files.ts';
import { decodeTree } from '../format/tree.ts';
import { packName } from '../layout.ts';
import type { Repository } from '../repository.ts';
import { decompress } from '../sealing/zstd.ts';
import { readAgainIfDamaged } from './read-again.ts';
import { TreeReadAhead } from './tree-read-ahead.ts';

/** The plaintext of a blob, verified against its id. `repository.damaged` if unknown, unreadable or different. */
export async function loadBlob(
  repository: Repository,
  type: BlobType,
  id: Uint8Array,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const index = await loadIndex(repository, signal);
  const entry = index.find(type, id);
  const place = index.location(entry);
  if (!place) throw damaged(repository, `${type} blob ${toHex(id)} is in no index`);
  const range = { offset: place.offset, length: place.length };
  let ahead = type === 'tree' ? readAheadOf(repository, index) : undefined;
  return await readAgainIfDamaged(async () => {
    const from = ahead;
    ahead = undefined; // the second time from where it lies
    const stored =
      (from && (await unlessCutOff(from.read(entry, signal)))) ??
      (await repository.storage.get(packName(place.pack), range, signal));
    return openBlob(repository, stored, place.uncompressedLength, type, id);
  });
}

/** Nothing, where what surrounds a tree cannot be read: the pack may have lost its end, and the tree may lie before that. */
async function unlessCutOff(reading: Promise<Uint8Array>): Promise<Uint8Array | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (!hasCode(error, 'storage.io')) throw error;
    return undefined;
  }
}

const readAheads = new WeakMap<BlobIndex, TreeReadAhead>();

function readAheadOf(repository: Repository, index: BlobIndex): TreeReadAhead {
  const known = readAheads.get(index);
  if (known) return known;
  const made = new TreeReadAhead(repository, index);
  readAheads.set(index, made);
  return made;
}

/** Opens what was read from a pack. */
export function openBlob(
  repository: Repository,
  stored: Uint8Array,
  uncompressedLength: number,
  type: BlobType,
  id: Uint8Array,
): Uint8Array {
  const body = repository.sealer.open(stored);
  let plain = body;
  if (uncompressedLength > 0) {
    try {
      plain = Buffer.from(decompress(body, uncompressedLength));
    } catch (error) {
      throw damaged(repository, `${type} blob ${toHex(id)} does not decompress`, error);
    }
  }
  if (!equalBytes(hash('sha256', plain, 'buffer'), id)) {
    throw damaged(repository, `${type} blob ${toHex(id)} does not have the content its id stands for`);
  }
  return plain;
}

/** The nodes of a tree, sorted by name bytes. */
export async function loadTree(repository: Repository, id: string, signal?: AbortSignal): Promise<Node[]> {
  return decodeTree(await loadBlob(repository, 'tree', idBytesOf(id), signal));
}

function damaged(repository: Repository, what: string, cause?: unknown): HoldfastError {
  return new HoldfastError({
    code: 'repository.damaged',
    message: `${what} (repository ${repository.storage.location})`,
    remedy: 'Run holdfast repo check --read-data to see what is affected; another copy may still hold it.',
    cause,
  });
}
