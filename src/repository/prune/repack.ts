/**
 * Copies blobs into new packs: opened and verified by workers, sealed anew and verified again, indexed when they are
 * durable. Nothing is removed here. Memory: what a backup takes (see `BlobSaver`) and the fetcher's slabs.
 */
import { BlobIndex } from '../blob-index/blob-index.ts';
import { BlobFetcher, type OpenedBlobs } from '../reading/fetch-blobs.ts';
import { Repository } from '../repository.ts';
import { BlobSaver } from '../saving/blob-saver.ts';
import { storeOpened } from '../saving/store-opened.ts';

export interface RepackParts {
  readonly repository: Repository;
  /** Where the blobs lie now. */
  readonly index: BlobIndex;
  readonly progress?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Stores the entries (each once) anew, batch by batch, until `mayGoOn` says no before one; resolves, when all that was taken
 * is durable, with an index of the new packs alone and the number of batches that were done.
 */
export async function repackBlobs(
  parts: RepackParts,
  batches: Iterable<readonly number[]>,
  mayGoOn: () => boolean = () => true,
): Promise<{ stored: BlobIndex; batches: number }> {
  const { repository, index, signal } = parts;
  // Another view of the same repository, in which nothing is stored yet: every blob counts as new.
  const target = new Repository(repository);
  const stored = new BlobIndex();
  target.blobIndex = Promise.resolve(stored);
  await using saver = await BlobSaver.open(target, { signal });
  const fetcher = new BlobFetcher(repository, index, saver.pool);
  const copy = async (opened: OpenedBlobs): Promise<void> => {
    await storeOpened(saver, index, opened);
    saver.throwIfFailed();
    parts.progress?.(opened.entries.reduce((sum, entry) => sum + index.storedLength(entry), 0));
  };
  let done = 0;
  for (const entries of batches) {
    if (!mayGoOn()) break;
    await fetcher.fetchTogether(entries, copy, { signal });
    done++;
  }
  await saver.finish();
  return { stored, batches: done };
}
