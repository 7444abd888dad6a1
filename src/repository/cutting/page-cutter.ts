/**
 * Cut by heat: how the content of a paged file (a database, an image) is cut into blobs. Cuts lie at fixed offsets, so a
 * page changed in place never shifts its neighbours. A file starts in regions of 1 MiB. A blob that changed since the
 * parent snapshot is cut smaller, because it has to be stored anyway: to 64 KiB where changes are few and far between,
 * straight to leaves where the whole file is being changed. What did not change keeps the parent's cut and is not stored
 * again. So only places that change pay for small blobs, and the cut settles after one change at a place.
 */
export const regionBytes = 1 << 20;
const middleBytes = 64 << 10;
/** A leaf smaller than this costs more in the tree's list of ids (about 34 stored bytes a blob and snapshot) than it saves. */
const smallestLeafBytes = 4096;
/** Share of changed regions from which a file counts as changed all over. */
const hotShare = 0.25;
const regionsBeforeJudging = 8;

/** Bounds index and tree of a file that is hot all over: 2 million blobs are 120 MB of index in memory, 70 MB of tree. */
const mostLeaves = 2 << 20;

/** The smallest cut of a paged file: a page, but at least 4 KiB, and larger where a file is so big that it would have too many. */
export function leafBytes(pageBytes: number, fileBytes = 0): number {
  let leaf = Math.max(pageBytes, smallestLeafBytes);
  while (fileBytes / leaf > mostLeaves) leaf *= 2;
  return leaf;
}

/** The parent's cut of one region: lengths that add up to at most the region, and their ids (32 bytes each). */
export interface RegionCut {
  readonly lengths: Uint32Array;
  readonly ids: Uint8Array;
}

export interface CutRegion extends RegionCut {
  /** True if the region had a parent and something in it differs. */
  readonly changed: boolean;
}

/** Cuts one region of at most 1 MiB. `hash` gives the SHA-256 of a range of it. Pure but for `hash`. */
export function cutRegion(
  length: number,
  parent: RegionCut | undefined,
  rule: { readonly leafBytes: number; readonly hot: boolean },
  hash: (offset: number, length: number) => Uint8Array,
): CutRegion {
  const lengths: number[] = [];
  const ids: Uint8Array[] = [];
  const put = (offset: number, bytes: number, id = hash(offset, bytes)): void => {
    lengths.push(bytes);
    ids.push(id);
  };
  let changed = false;
  let at = 0;
  for (let i = 0; parent && i < parent.lengths.length; i++) {
    const blobBytes = parent.lengths[i];
    if (blobBytes === 0 || at + blobBytes > length) break;
    const id = hash(at, blobBytes);
    if (sameId(id, parent.ids, i * 32)) {
      put(at, blobBytes, id);
    } else {
      changed = true;
      split(at, blobBytes, blobBytes > middleBytes && !rule.hot ? middleBytes : rule.leafBytes, id, put);
    }
    at += blobBytes;
  }
  if (at < length) put(at, length - at);
  return { lengths: Uint32Array.from(lengths), ids: concatIds(ids), changed };
}

function split(
  offset: number,
  bytes: number,
  pieceBytes: number,
  wholeId: Uint8Array,
  put: (offset: number, bytes: number, id?: Uint8Array) => void,
): void {
  if (bytes <= pieceBytes) {
    put(offset, bytes, wholeId);
    return;
  }
  for (let at = 0; at < bytes; at += pieceBytes) put(offset + at, Math.min(pieceBytes, bytes - at));
}

/** Judges from the regions seen so far whether a file is being changed all over. One per file; order of `saw` does not matter. */
export class HeatJudge {
  #seen = 0;
  #changed = 0;

  saw(changed: boolean): void {
    this.#seen++;
    if (changed) this.#changed++;
  }

  get hot(): boolean {
    return this.#seen >= regionsBeforeJudging && this.#changed > this.#seen * hotShare;
  }
}

/** Hands out the parent's cut region by region, in order. Blobs that cross a region's border (cut by other rules) are not used. */
export class ParentCut {
  readonly #ids: Uint8Array;
  readonly #lengthAt: (index: number) => number;
  #next = 0;
  #offset = 0;

  constructor(ids: Uint8Array, lengthAt: (index: number) => number) {
    this.#ids = ids;
    this.#lengthAt = lengthAt;
  }

  /** The parent's blobs that lie wholly in [offset, offset + 1 MiB); ask with rising, region-aligned offsets. */
  region(offset: number): RegionCut | undefined {
    const count = this.#ids.length / 32;
    while (this.#next < count && this.#offset < offset) this.#offset += this.#lengthAt(this.#next++);
    if (this.#offset !== offset) return undefined;
    const first = this.#next;
    const lengths: number[] = [];
    while (this.#next < count) {
      const bytes = this.#lengthAt(this.#next);
      if (this.#offset + bytes > offset + regionBytes) break;
      lengths.push(bytes);
      this.#offset += bytes;
      this.#next++;
    }
    if (lengths.length === 0) return undefined;
    return { lengths: Uint32Array.from(lengths), ids: this.#ids.slice(first * 32, this.#next * 32) };
  }
}

function sameId(id: Uint8Array, ids: Uint8Array, at: number): boolean {
  for (let i = 0; i < 32; i++) if (id[i] !== ids[at + i]) return false;
  return true;
}

function concatIds(ids: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(ids.length * 32);
  for (let i = 0; i < ids.length; i++) all.set(ids[i], i * 32);
  return all;
}
