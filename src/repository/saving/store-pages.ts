/** Storing paged content (a database, an image): cut at fixed offsets, by heat (see `page-cutter.ts`). */

import { ContentIds } from '../cutting/content-ids.ts';
import { type ContentStream, fillSlab, type Progress, type StoredContent } from '../cutting/content-stream.ts';
import { HeatJudge, leafBytes, ParentCut, regionBytes } from '../cutting/page-cutter.ts';
import { type Slab, tailBytes } from '../cutting/slabs.ts';
import type { BlobSaver } from './blob-saver.ts';

/** Stores a stream of pages. `parentIds`: the blobs of the same file in the parent snapshot, if any. */
export async function storePages(
  saver: BlobSaver,
  stream: ContentStream,
  options: {
    readonly pageBytes: number;
    readonly sizeHint: number;
    readonly parentIds?: Uint8Array;
    readonly progress: Progress;
  },
): Promise<StoredContent> {
  const writer = new PageWriter(saver, options);
  let sizeBytes = 0;
  for (let ended = false; !ended; ) {
    const slab = await saver.slabs.acquire();
    let length = 0;
    try {
      ({ length, ended } = await fillSlab(stream, slab, false));
      saver.throwIfFailed();
      writer.ids.throwIfFailed();
    } catch (error) {
      saver.slabs.release(slab);
      await writer.settled();
      throw error;
    }
    await writer.write(slab, sizeBytes, length);
    sizeBytes += length;
  }
  return { ids: await writer.complete(sizeBytes), sizeBytes };
}

class PageWriter {
  readonly ids = new ContentIds();
  readonly #saver: BlobSaver;
  readonly #leafBytes: number;
  readonly #parent: ParentCut | undefined;
  readonly #judge = new HeatJudge();
  readonly #progress: Progress;
  /** Settles when the slab handed over last is cut; never rejects, see `ids`. */
  #last: Promise<void> = Promise.resolve();

  constructor(
    saver: BlobSaver,
    {
      pageBytes,
      sizeHint,
      parentIds,
      progress,
    }: { pageBytes: number; sizeHint: number; parentIds?: Uint8Array; progress: Progress },
  ) {
    this.#saver = saver;
    this.#leafBytes = leafBytes(pageBytes, sizeHint);
    this.#progress = progress;
    this.#parent = parentIds && knownCut(saver, parentIds);
  }

  /** Cuts and stores one slab; returns when its cut is known, while sealing goes on. Takes over the slab. */
  async write(slab: Slab, offset: number, length: number): Promise<void> {
    const regions = [];
    for (let at = 0; at < length; at += regionBytes) {
      const bytes = Math.min(regionBytes, length - at);
      regions.push({ offset: tailBytes + at, length: bytes, parent: this.#parent?.region(offset + at) });
    }
    const job = { slab: slab.memory, regions, leafBytes: this.#leafBytes, hot: this.#judge.hot };
    const cutting = this.#saver.pool.run<'cut-pages'>({ kind: 'cut-pages', ...job });
    // The number of blobs is known only when they are cut, and their order matters: two slabs are cut at a time.
    const previous = this.#last;
    this.#last = this.#store(slab, regions, cutting, previous);
    await previous;
    this.#saver.throwIfFailed();
  }

  /** The ids of all slabs, once every one is cut and stored. */
  async complete(sizeBytes: number): Promise<Uint8Array> {
    await this.#last;
    return await this.ids.complete(sizeBytes);
  }

  async settled(): Promise<void> {
    await this.#last;
    await this.ids.settled();
  }

  async #store(
    slab: Slab,
    regions: readonly { offset: number; length: number; parent?: unknown }[],
    cutting: Promise<readonly { lengths: Uint32Array; ids: Uint8Array; changed: boolean }[]>,
    previous: Promise<void>,
  ): Promise<void> {
    let stored: Promise<void> = Promise.resolve();
    try {
      const [cut] = await Promise.all([cutting, previous]);
      const ranges: number[] = [];
      cut.forEach((region, i) => {
        let at = regions[i].offset;
        for (const bytes of region.lengths) {
          ranges.push(at, bytes);
          at += bytes;
        }
        if (regions[i].parent) this.#judge.saw(region.changed);
      });
      const ids = Buffer.concat(cut.map((region) => region.ids));
      this.ids.appendKnown(
        ids,
        regions.reduce((bytes, region) => bytes + region.length, 0),
      );
      stored = this.#saver.store('data', slab, ranges, ids);
    } catch (error) {
      stored = Promise.reject(error);
    }
    const released = stored.finally(() => this.#saver.slabs.release(slab));
    this.ids.track(
      released.then(() => {
        for (const region of regions) this.#progress(region.length);
      }),
    );
  }
}

/** The parent's cut, as far as its blobs are all in the index: what is not there cannot be kept. */
function knownCut(saver: BlobSaver, ids: Uint8Array): ParentCut | undefined {
  const entries = new Int32Array(ids.byteLength / 32);
  for (let i = 0; i < entries.length; i++) {
    entries[i] = saver.index.find('data', ids, i * 32);
    if (entries[i] < 0) return undefined;
  }
  return new ParentCut(ids, (i) => saver.index.plainLength(entries[i]));
}
