/** From one repository's memory into another's packs: what a fetcher opened is handed to a saver where it lies. */
import type { BlobIndex } from '../blob-index/blob-index.ts';
import type { OpenedBlobs } from '../reading/fetch-blobs.ts';
import type { BlobSaver } from './blob-saver.ts';

/** Has blobs stored that the saver does not know yet; `index` is the one their entries are of. Resolves when the slab may be reused. */
export async function storeOpened(
  saver: BlobSaver,
  index: BlobIndex,
  { entries, offsets, slab }: OpenedBlobs,
): Promise<void> {
  for (const type of ['data', 'tree'] as const) {
    const places = entries
      .keys()
      .filter((i) => index.type(entries[i]) === type)
      .toArray();
    const ids = new Uint8Array(places.length * 32);
    const ranges = new Uint32Array(places.length * 2);
    places.forEach((place, i) => {
      ids.set(index.id(entries[place]), i * 32);
      ranges.set([offsets[place], index.plainLength(entries[place])], i * 2);
    });
    await saver.store(type, slab, ranges, ids);
  }
}
