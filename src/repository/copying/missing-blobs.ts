/**
 * What trees of one repository reach and another repository lacks. Trees are read level by level, neighbours in one read.
 * A tree below which the other repository is known to have everything is not read at all: the cost of a snapshot that
 * changed little since the last copied one is that of what changed.
 *
 * Having a tree's blob is not having what is below it: a copy that was killed leaves trees without their files. So a tree is
 * passed over only if a snapshot over there names it, or if it was walked here before.
 *
 * Memory: two bits a blob of the origin, the numbers of two levels of trees, 8 bytes a missing blob, the fetcher's slabs.
 */
import { toHex } from '../../base/bytes.ts';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import type { BlobIndex } from '../blob-index/blob-index.ts';
import { idBytesOf } from '../blob-index/index-files.ts';
import { decodeTree } from '../format/tree.ts';
import { EntrySet } from '../inventory/entry-set.ts';
import { BlobFetcher } from '../reading/fetch-blobs.ts';
import type { Repository } from '../repository.ts';
import type { WorkerPool } from '../worker/pool.ts';

export interface MissingParts {
  readonly from: Repository;
  /** Of `from`. */
  readonly index: BlobIndex;
  readonly toIndex: BlobIndex;
  /** Opens blobs of `from`. */
  readonly pool: WorkerPool;
  readonly signal?: AbortSignal;
}

/** One walk from one root: forgotten if it fails, so that no later one relies on it. */
interface Walk {
  readonly seen: Set<number>;
  readonly wanted: number[];
  readonly marked: Set<number>;
}

export class MissingBlobs {
  readonly #parts: MissingParts;
  readonly #fetcher: BlobFetcher;
  /** Trees that were walked, with all that is below them. */
  readonly #walked: EntrySet;
  /** Blobs that a call of `reach` has given already. */
  readonly #given: EntrySet;

  constructor(parts: MissingParts) {
    this.#parts = parts;
    this.#fetcher = new BlobFetcher(parts.from, parts.index, parts.pool);
    this.#walked = new EntrySet(parts.index.size);
    this.#given = new EntrySet(parts.index.size);
  }

  /**
   * Entries of the origin's index that the tree `root` (hex) needs, the other repository lacks, and no call before gave.
   * `whole`: root trees of snapshots that the other repository has. `repository.damaged` if a blob is in neither.
   */
  async reach(root: string, whole: readonly string[] = []): Promise<number[]> {
    try {
      return await this.#walk(root, whole);
    } catch (error) {
      // What was only read to compare with may be what is damaged.
      if (whole.length === 0 || !hasCode(error, 'repository.damaged', 'storage.not-found')) throw error;
      return await this.#walk(root, []);
    }
  }

  async #walk(root: string, whole: readonly string[]): Promise<number[]> {
    const walk: Walk = { seen: new Set(), wanted: [], marked: new Set() };
    let level = new Set([this.#treeEntry(idBytesOf(root), 'a snapshot')]);
    let known = new Set(whole.map((id) => this.#parts.index.find('tree', idBytesOf(id))).filter((entry) => entry >= 0));
    while (level.size > 0) {
      this.#passOver(level, known);
      [level, known] = await this.#read(level, known, walk);
    }
    for (const entry of walk.seen) this.#walked.add(entry);
    for (const entry of walk.wanted) this.#given.add(entry);
    return walk.wanted;
  }

  /** Takes out of both what is in both. */
  #passOver(level: Set<number>, known: Set<number>): void {
    for (const entry of [...level]) {
      if (!known.delete(entry)) continue;
      if (this.#isThere('tree', this.#parts.index.id(entry))) level.delete(entry);
    }
  }

  async #read(level: ReadonlySet<number>, known: ReadonlySet<number>, walk: Walk): Promise<[Set<number>, Set<number>]> {
    const next = new Set<number>();
    const nextKnown = new Set<number>();
    for (const entry of level) {
      walk.seen.add(entry);
      this.#want('tree', entry, walk);
    }
    const take = (entry: number, plain: Uint8Array): void => {
      const below = level.has(entry) ? this.#take(entry, plain, walk) : this.#subtrees(plain);
      const into = level.has(entry) ? next : nextKnown;
      for (const tree of below) if (!walk.seen.has(tree) && !this.#walked.has(tree)) into.add(tree);
    };
    // Without anything left to compare with, the known trees need not be read either.
    const entries = level.size === 0 ? [] : [...level, ...known];
    await this.#fetcher.fetch(entries, take, { signal: this.#parts.signal });
    return [next, nextKnown];
  }

  /** Marks the content of a tree's files; returns the trees below it. */
  #take(tree: number, plain: Uint8Array, walk: Walk): number[] {
    const below: number[] = [];
    for (const node of decodeTree(plain)) {
      const title = (): string => `«${node.name}» in tree ${this.#hex(tree)}`;
      if (node.type === 'dir' && node.subtree !== undefined) {
        below.push(this.#treeEntry(idBytesOf(node.subtree), title()));
      }
      const content = node.content ?? new Uint8Array();
      for (let at = 0; at < content.byteLength; at += 32) this.#wantData(content.subarray(at, at + 32), title, walk);
    }
    return below;
  }

  #subtrees(plain: Uint8Array): number[] {
    const trees = decodeTree(plain).flatMap(({ subtree }) => (subtree === undefined ? [] : [idBytesOf(subtree)]));
    return trees.map((id) => this.#parts.index.find('tree', id)).filter((entry) => entry >= 0);
  }

  #wantData(id: Uint8Array, needer: () => string, walk: Walk): void {
    const entry = this.#parts.index.find('data', id);
    if (entry >= 0) this.#want('data', entry, walk);
    else if (!this.#isThere('data', id)) throw this.#missing('data', id, needer());
  }

  #want(type: 'data' | 'tree', entry: number, walk: Walk): void {
    if (this.#given.has(entry) || walk.marked.has(entry) || this.#isThere(type, this.#parts.index.id(entry))) return;
    walk.marked.add(entry);
    walk.wanted.push(entry);
  }

  #isThere(type: 'data' | 'tree', id: Uint8Array): boolean {
    return this.#parts.toIndex.has(type, id);
  }

  #treeEntry(id: Uint8Array, needer: string): number {
    const entry = this.#parts.index.find('tree', id);
    if (entry < 0) throw this.#missing('tree', id, needer);
    return entry;
  }

  #missing(type: string, id: Uint8Array, needer: string): HoldfastError {
    const { location } = this.#parts.from.storage;
    return new HoldfastError({
      code: 'repository.damaged',
      message: `${type} blob ${toHex(id)}, which ${needer} needs, is in no index of ${location}`,
      remedy:
        'Run holdfast repo check to see what is affected; in case only an index file is lost: holdfast repo repair index.',
    });
  }

  #hex(entry: number): string {
    return toHex(this.#parts.index.id(entry));
  }
}
