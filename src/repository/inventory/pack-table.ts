/** Blobs by pack: an index turned around. Memory: 4 bytes a blob, 4 bytes a pack. */
import type { BlobIndex } from '../blob-index/blob-index.ts';
import type { PackEntry } from '../format/pack-header.ts';
import type { Duplicate } from './inventory.ts';

export class PackTable {
  readonly #index: BlobIndex;
  readonly #duplicates: readonly Duplicate[];
  /** Rows of pack `n` are those from `#starts[n]` to `#starts[n + 1]`. */
  readonly #starts: Uint32Array;
  /** Entry numbers; from the index's size on, numbers of duplicates. */
  readonly #rows: Uint32Array;

  /** Of the index as it is now: blobs added later are not in it. */
  constructor(index: BlobIndex, duplicates: readonly Duplicate[] = []) {
    this.#index = index;
    this.#duplicates = duplicates;
    const rows = index.size + duplicates.length;
    this.#starts = new Uint32Array(index.packs.length + 1);
    for (let row = 0; row < rows; row++) this.#starts[this.#packOf(row) + 1]++;
    for (let pack = 0; pack < index.packs.length; pack++) this.#starts[pack + 1] += this.#starts[pack];
    const next = this.#starts.slice();
    this.#rows = new Uint32Array(rows);
    for (let row = 0; row < rows; row++) this.#rows[next[this.#packOf(row)]++] = row;
  }

  /** Number of blobs in a pack. */
  blobs(pack: number): number {
    return this.#starts[pack + 1] - this.#starts[pack];
  }

  /** Everything in a pack, as it lies there. */
  entries(pack: number): PackEntry[] {
    const rows = this.#rows.subarray(this.#starts[pack], this.#starts[pack + 1]);
    return Array.from(rows, (row) => this.#entry(row)).sort((a, b) => a.offset - b.offset);
  }

  #packOf(row: number): number {
    const { size } = this.#index;
    return row < size ? this.#index.packNumber(row) : this.#duplicates[row - size].pack;
  }

  #entry(row: number): PackEntry {
    const index = this.#index;
    const duplicate = row < index.size ? undefined : this.#duplicates[row - index.size];
    const entry = duplicate?.entry ?? row;
    return {
      type: index.type(entry),
      id: index.id(entry),
      offset: duplicate?.offset ?? index.offset(entry),
      length: duplicate?.length ?? index.storedLength(entry),
      uncompressedLength: duplicate?.uncompressedLength ?? index.uncompressedLength(entry),
    };
  }
}
