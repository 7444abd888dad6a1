/**
 * Blobs of one repository into another: opened with the one's key and verified by workers, sealed with the other's and
 * verified again, in the order in which they lie in their packs. Their cuts stay as they are, whatever polynomial the
 * other repository cuts with.
 *
 * Memory: four pairs of slabs of the fetcher (about 50 MiB), what a saver takes without its slabs (about 100 MiB), 4 bytes
 * a blob, and the reads of one window.
 */
import type { BlobIndex } from '../blob-index/blob-index.ts';
import { BlobFetcher, type OpenedBlobs } from '../reading/fetch-blobs.ts';
import type { Repository } from '../repository.ts';
import { BlobSaver, type SaverStats } from '../saving/blob-saver.ts';
import { storeOpened } from '../saving/store-opened.ts';
import type { Compression } from '../worker/messages.ts';
import type { WorkerPool } from '../worker/pool.ts';

/** Blobs whose reads are planned together. */
const windowBlobs = 32_768;

export interface CopyBlobsParts {
  readonly from: Repository;
  /** Of `from`. */
  readonly index: BlobIndex;
  readonly to: Repository;
  /** Opens blobs of `from`. */
  readonly pool: WorkerPool;
  readonly compression?: Compression;
  /** Workers that seal; default: one per core. */
  readonly threads?: number;
  /** Told the stored bytes of what was copied. */
  readonly progress?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Stores the entries of the origin's index (each once) that the other repository lacks; they are durable and indexed when
 * this resolves. Whatever was uploaded before a failure is found again by `adoptPacks`, and not sent again.
 */
export async function copyBlobs(parts: CopyBlobsParts, entries: readonly number[]): Promise<SaverStats> {
  const { from, to, index, pool, compression, threads, signal } = parts;
  await using saver = await BlobSaver.open(to, { compression, threads, signal });
  const fetcher = new BlobFetcher(from, index, pool);
  const copy = async (opened: OpenedBlobs): Promise<void> => {
    await storeOpened(saver, index, opened);
    saver.throwIfFailed();
    parts.progress?.(opened.entries.reduce((sum, entry) => sum + index.storedLength(entry), 0));
  };
  const inOrder = Uint32Array.from(entries).sort(
    (a, b) => index.packNumber(a) - index.packNumber(b) || index.offset(a) - index.offset(b),
  );
  for (let at = 0; at < inOrder.length; at += windowBlobs) {
    await fetcher.fetchTogether([...inOrder.subarray(at, at + windowBlobs)], copy, { signal });
  }
  await saver.finish();
  return saver.stats;
}
