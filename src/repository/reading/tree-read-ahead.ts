/**
 * Whoever walks a snapshot reads tree after tree, and each would cost a round trip across a network, or four calls to a disk.
 * The trees of a snapshot lie side by side, so the whole block around one is read and kept. Memory: `blocksKept` blocks of
 * 1 MiB (128 KiB on a disk), larger only around a larger tree, and a number for each pack of trees.
 */
import type { BlobIndex } from '../blob-index/blob-index.ts';
import { packName } from '../layout.ts';
import type { Repository } from '../repository.ts';

const farBytes = 1 << 20;
/** On a disk bytes that are not needed soon cost more than another read. */
const nearBytes = 128 << 10;
const blocksKept = 6;

interface Block {
  readonly offset: number;
  readonly end: number;
  readonly bytes: Promise<Uint8Array>;
}

export class TreeReadAhead {
  readonly #repository: Repository;
  readonly #index: BlobIndex;
  readonly #blockBytes: number;
  /** By number of the pack, where its last tree ends. */
  readonly #ends = new Map<number, number>();
  /** Packs, and entries, of the index that `#ends` was made of; trees that were being stored then. */
  #packs = 0;
  #entries = 0;
  #underway: number[] = [];
  /** The one used last is last. */
  readonly #blocks = new Map<string, Block>();

  constructor(repository: Repository, index: BlobIndex) {
    this.#repository = repository;
    this.#index = index;
    this.#blockBytes = repository.storage.parallelPuts === undefined ? nearBytes : farBytes;
  }

  /** The stored bytes of a tree; the storage's errors. */
  async read(entry: number, signal?: AbortSignal): Promise<Uint8Array> {
    const [offset, length] = [this.#index.offset(entry), this.#index.storedLength(entry)];
    const block = this.#blockAround(entry, signal);
    const bytes = await block.bytes;
    return bytes.subarray(offset - block.offset, offset - block.offset + length);
  }

  #blockAround(entry: number, signal: AbortSignal | undefined): Block {
    const index = this.#index;
    const pack = index.packNumber(entry);
    const number = Math.floor(index.offset(entry) / this.#blockBytes);
    const treeEnd = index.offset(entry) + index.storedLength(entry);
    const key = `${pack} ${number}`;
    const known = this.#blocks.get(key);
    this.#blocks.delete(key);
    const block = known && known.end >= treeEnd ? known : this.#fetch(pack, number, treeEnd, signal);
    this.#blocks.set(key, block);
    // What failed is asked for again, and by whoever wants it next.
    block.bytes.catch(() => this.#blocks.get(key) === block && this.#blocks.delete(key));
    for (const oldest of this.#blocks.keys()) {
      if (this.#blocks.size <= blocksKept) break;
      this.#blocks.delete(oldest);
    }
    return block;
  }

  #fetch(pack: number, number: number, treeEnd: number, signal: AbortSignal | undefined): Block {
    const offset = number * this.#blockBytes;
    const end = Math.max(treeEnd, Math.min(offset + this.#blockBytes, this.#endOf(pack)));
    const range = { offset, length: end - offset };
    const name = packName(this.#index.packs[pack]);
    return { offset, end, bytes: this.#repository.storage.get(name, range, signal) };
  }

  #endOf(pack: number): number {
    const index = this.#index;
    if (this.#packs !== index.packs.length) {
      this.#packs = index.packs.length;
      const trees = this.#underway;
      for (; this.#entries < index.size; this.#entries++) {
        if (index.type(this.#entries) === 'tree') trees.push(this.#entries);
      }
      this.#underway = trees.filter((entry) => !this.#taken(entry));
    }
    return this.#ends.get(pack) ?? 0;
  }

  /** False while the tree is being stored. */
  #taken(entry: number): boolean {
    const index = this.#index;
    if (!index.location(entry)) return false;
    const end = index.offset(entry) + index.storedLength(entry);
    const pack = index.packNumber(entry);
    if (end > (this.#ends.get(pack) ?? 0)) this.#ends.set(pack, end);
    return true;
  }
}
