/**
 * Adopting what an interrupted run left: packs that were uploaded but are in no index. Their headers say what they hold,
 * so the next run indexes them instead of storing the same bytes again.
 */
import { forEachConcurrent } from '../../base/concurrency.ts';
import { hasCode } from '../../base/errors.ts';
import { type IndexedPack, refreshIndex, saveIndexFile } from '../blob-index/index-files.ts';
import { idInName, packsFolder } from '../layout.ts';
import { readPackHeader } from '../reading/pack-files.ts';
import type { Repository } from '../repository.ts';

export interface Adoption {
  readonly packs: number;
  readonly blobs: number;
  /** Packs without a readable header: cut short by a storage that is not atomic. Left for check and prune to name and remove. */
  readonly unreadable: readonly string[];
}

/**
 * Indexes every pack that no index names, after an index that was read before the lock is up to date. Needs a lock that
 * excludes prune; until `mayWrite` resolves nothing is written. Memory: the headers of the packs found, and about 100 bytes
 * for every pack.
 */
export async function adoptPacks(
  repository: Repository,
  signal?: AbortSignal,
  mayWrite?: Promise<void>,
): Promise<Adoption> {
  const [index, sizes] = await Promise.all([refreshIndex(repository, signal), listPacks(repository, signal)]);
  const orphans = [...sizes].filter(([id]) => !index.hasPack(id)).map(([id, sizeBytes]) => ({ id, sizeBytes }));
  const packs: IndexedPack[] = [];
  const unreadable: string[] = [];
  await forEachConcurrent(
    orphans,
    4,
    async ({ id, sizeBytes }) => {
      try {
        packs.push({ id, entries: await readPackHeader(repository, id, sizeBytes, signal) });
      } catch (error) {
        if (hasCode(error, 'storage.not-found')) return;
        if (!hasCode(error, 'repository.damaged')) throw error;
        unreadable.push(id);
      }
    },
    signal,
  );
  if (packs.length > 0) {
    await mayWrite;
    index.files.add(await saveIndexFile(repository, packs));
  }
  for (const pack of packs) {
    const number = index.addPack(pack.id);
    for (const entry of pack.entries) index.add(entry.type, entry.id, 0, { ...entry, pack: number });
  }
  return { packs: packs.length, blobs: packs.reduce((sum, pack) => sum + pack.entries.length, 0), unreadable };
}

async function listPacks(repository: Repository, signal?: AbortSignal): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for await (const { name, sizeBytes } of repository.storage.list(packsFolder, signal)) {
    const id = idInName(name);
    if (id !== undefined) sizes.set(id, sizeBytes);
  }
  return sizes;
}
