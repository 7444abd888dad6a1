/** Bytes of all files below a tree, for snapshots that do not say it themselves. Memory: the distinct trees of two levels. */
import type { BlobIndex } from '../blob-index/blob-index.ts';
import { idBytesOf } from '../blob-index/index-files.ts';
import { decodeTree } from '../format/tree.ts';
import { BlobFetcher } from '../reading/fetch-blobs.ts';
import type { Repository } from '../repository.ts';
import type { WorkerPool } from '../worker/pool.ts';

/** Counts every path, equal ones too; of hard links only the first name has content to restore, which is not told apart here. */
export async function restoreSizeOf(
  parts: { repository: Repository; index: BlobIndex; pool: WorkerPool; signal?: AbortSignal },
  tree: string,
): Promise<number> {
  const { repository, index, pool, signal } = parts;
  const fetcher = new BlobFetcher(repository, index, pool);
  let bytes = 0;
  // Trees of a level with the number of paths they stand at.
  let level = new Map([[index.find('tree', idBytesOf(tree)), 1]]);
  while (level.size > 0) {
    const next = new Map<number, number>();
    const current = level;
    await fetcher.fetch(
      [...current.keys()],
      (entry, plain) => {
        const times = current.get(entry)!;
        for (const node of decodeTree(plain)) {
          if (node.type === 'file') bytes += node.size * times;
          if (node.subtree === undefined) continue;
          const child = index.find('tree', idBytesOf(node.subtree));
          next.set(child, (next.get(child) ?? 0) + times);
        }
      },
      { signal },
    );
    level = next;
  }
  return bytes;
}
