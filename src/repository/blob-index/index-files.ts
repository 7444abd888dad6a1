/** Reading and writing index files. */

import { fromHex } from '../../base/bytes.ts';
import { forEachConcurrent } from '../../base/concurrency.ts';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import { decodeIndexFile, encodeIndexFile } from '../format/index-file.ts';
import type { PackEntry } from '../format/pack-header.ts';
import type { Repository } from '../repository.ts';
import { listUnpacked, loadUnpacked, saveUnpacked } from '../sealing/unpacked.ts';
import { BlobIndex } from './blob-index.ts';

/** Concurrent reads: enough to hide a network's latency, few enough to bound memory (an index file is at most some MiB). */
const readsAtOnce = 4;
/** Each prune meanwhile costs one more look at the list. */
const mostPasses = 5;

/** Where every blob lies; read from all index files once and kept. Memory: about 54 bytes a blob. */
export async function loadIndex(repository: Repository, signal?: AbortSignal): Promise<BlobIndex> {
  repository.blobIndex ??= readAll(repository, signal);
  try {
    return await repository.blobIndex;
  } catch (error) {
    repository.blobIndex = undefined;
    throw error;
  }
}

/** Reads the index anew, because another process may have written or pruned. */
export async function reloadIndex(repository: Repository, signal?: AbortSignal): Promise<BlobIndex> {
  repository.blobIndex = undefined;
  return await loadIndex(repository, signal);
}

/**
 * Brings the index up to date under a lock that excludes prune and repair. What it says of a file that is gone may be gone
 * with it: then all is read anew; else only the files that came since.
 */
export async function refreshIndex(repository: Repository, signal?: AbortSignal): Promise<BlobIndex> {
  const [index, listed] = await Promise.all([loadIndex(repository, signal), listIndexFiles(repository, signal)]);
  if ([...index.files].some((id) => !listed.has(id))) return await reloadIndex(repository, signal);
  const isGone = await readFiles(repository, index, listed, signal);
  if (isGone) await readUntilWhole(repository, index, signal);
  return index;
}

async function listIndexFiles(repository: Repository, signal?: AbortSignal): Promise<Set<string>> {
  const ids = new Set<string>();
  for await (const id of idsOf(repository, signal)) ids.add(id);
  return ids;
}

async function* idsOf(repository: Repository, signal?: AbortSignal): AsyncGenerator<string> {
  for await (const { id } of listUnpacked(repository, 'index', signal)) yield id;
}

async function readAll(repository: Repository, signal?: AbortSignal): Promise<BlobIndex> {
  const index = new BlobIndex();
  await readUntilWhole(repository, index, signal);
  return index;
}

async function readUntilWhole(repository: Repository, index: BlobIndex, signal?: AbortSignal): Promise<void> {
  for (let pass = 0; await readFiles(repository, index, idsOf(repository, signal), signal); pass++) {
    if (pass === mostPasses) throw vanishing(repository);
  }
}

/** Adds every one of these index files that was not read before; true if one was gone by then. */
async function readFiles(
  repository: Repository,
  index: BlobIndex,
  ids: Iterable<string> | AsyncIterable<string>,
  signal?: AbortSignal,
): Promise<boolean> {
  let isGone = false;
  await forEachConcurrent(
    ids,
    readsAtOnce,
    async (id) => {
      if (index.files.has(id)) return;
      const bytes = await loadIfPresent(repository, id, signal);
      if (bytes) {
        addIndexFile(index, bytes);
        index.files.add(id);
      } else {
        isGone = true;
      }
    },
    signal,
  );
  return isGone;
}

function vanishing(repository: Repository): HoldfastError {
  return new HoldfastError({
    code: 'storage.io',
    message: `${repository.storage.location} lists index files that it then says are not there`,
    remedy: 'Look at the storage: its listing and its objects disagree. Then run it again.',
    retry: 'later',
  });
}

/** An index file that vanished between listing and reading was replaced by a prune; its successor is listed by then. */
async function loadIfPresent(
  repository: Repository,
  id: string,
  signal?: AbortSignal,
): Promise<Uint8Array | undefined> {
  try {
    return await loadUnpacked(repository, 'index', id, signal);
  } catch (error) {
    if (hasCode(error, 'storage.not-found')) return undefined;
    throw error;
  }
}

function addIndexFile(index: BlobIndex, bytes: Uint8Array): void {
  decodeIndexFile(bytes, (packId, entries) => {
    const pack = index.addPack(packId);
    // A literal and no spread: for millions of blobs that is a tenth of the whole.
    for (const { type, id, offset, length, uncompressedLength } of entries) {
      index.add(type, id, 0, { pack, offset, length, uncompressedLength });
    }
  });
}

export interface IndexedPack {
  readonly id: string;
  readonly entries: readonly PackEntry[];
}

/** Writes one index file over the packs. */
export async function saveIndexFile(repository: Repository, packs: readonly IndexedPack[]): Promise<string> {
  return await saveUnpacked(repository, 'index', encodeIndexFile(packs));
}

/** Ids (hex) as bytes, for look-ups. */
export function idBytesOf(hex: string): Uint8Array {
  const bytes = fromHex(hex);
  if (bytes?.byteLength !== 32) throw new RangeError(`not an id: ${hex}`);
  return bytes;
}
