/**
 * Trees across a network: whoever walks a snapshot reads tree after tree, and each would cost a round trip. The trees of a
 * snapshot lie side by side, so the whole block around one is read and kept. Memory: `blocksKept` blocks of 1 MiB, larger only
 * around a larger tree, and a number for each pack of trees.
 */
import type { BlobIndex } from './blob-index.ts';
import { packName } from './layout.ts';
import type { Repository } from './repository.ts';

const blockBytes = 1 << 20;
const blocksKept = 6;

interface Block {
  readonly offset: number;
  readonly end: number;
  readonly bytes: Promise<Uint8Array>;
}

export class TreeReadAhead {
  readonly #repository: Repository;
  readonly #index: BlobIndex;
  /** By number of the pack, where its last tree ends; made anew when packs were added. */
  #ends = new Map<number, number>();
  #endsOf = -1;
  /** The one used last is last. */
  readonly #blocks = new Map<string, Block>();

  constructor(repository: Repository, index: BlobIndex) {
    this.#repository = repository;
    this.#index = index;
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
    const number = Math.floor(index.offset(entry) / blockBytes);
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
    const offset = number * blockBytes;
    const end = Math.max(treeEnd, Math.min(offset + blockBytes, this.#endOf(pack)));
    const range = { offset, length: end - offset };
    const name = packName(this.#index.packs[pack]);
    return { offset, end, bytes: this.#repository.storage.get(name, range, signal) };
  }

  #endOf(pack: number): number {
    const index = this.#index;
    if (this.#endsOf !== index.packs.length) {
      this.#endsOf = index.packs.length;
      this.#ends = new Map();
      for (let entry = 0; entry < index.size; entry++) {
        if (index.type(entry) !== 'tree' || !index.location(entry)) continue;
        const end = index.offset(entry) + index.storedLength(entry);
        const at = index.packNumber(entry);
        if (end > (this.#ends.get(at) ?? 0)) this.#ends.set(at, end);
      }
    }
    return this.#ends.get(pack) ?? 0;
  }
}
