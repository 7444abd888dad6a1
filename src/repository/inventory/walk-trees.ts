/**
 * Everything that trees reach, each tree read once, level by level: the trees of a level are fetched together, neighbours
 * in one read, and opened by workers. Memory: one bit a blob, the numbers of two levels, and the fetcher's slabs (about 50 MiB).
 */
import { toHex } from '../../base/bytes.ts';
import { hasCode, messageOf } from '../../base/errors.ts';
import { printableName } from '../../base/names.ts';
import type { Node } from '../../model/node.ts';
import type { BlobIndex } from '../blob-index/blob-index.ts';
import { idBytesOf } from '../blob-index/index-files.ts';
import { faultOf, type ReportFault } from '../check/fault.ts';
import { decodeTree } from '../format/tree.ts';
import { packName } from '../layout.ts';
import { openBlob } from '../reading/blobs.ts';
import { BlobFetcher } from '../reading/fetch-blobs.ts';
import type { Repository } from '../repository.ts';
import type { WorkerPool } from '../worker/pool.ts';
import { EntrySet } from './entry-set.ts';

export interface TreeWalkParts {
  readonly repository: Repository;
  readonly index: BlobIndex;
  readonly pool: WorkerPool;
  /** Called for what is not as it should be; the walk goes on. Must not throw. */
  readonly report: ReportFault;
  /** Called when a tree was read. */
  readonly progress?: () => void;
  readonly signal?: AbortSignal;
}

export class TreeWalk {
  /** Entries reached so far, data and trees. */
  readonly used: EntrySet;
  /** Trees that were reached and could not be read. */
  readonly unreadable = new EntrySet();
  trees = 0;
  /** Bytes of the entries reached so far, sealed and as plaintext. */
  storedBytes = 0;
  plainBytes = 0;
  readonly #parts: TreeWalkParts;
  #fetcher: BlobFetcher | undefined;
  /** Trees read or tried. */
  readonly #read: EntrySet;
  #next: number[] = [];

  constructor(parts: TreeWalkParts) {
    this.#parts = parts;
    this.used = new EntrySet(parts.index.size);
    this.#read = new EntrySet(parts.index.size);
  }

  /** Marks what the trees `roots` (hex) reach and was not reached before. */
  async reach(roots: Iterable<string>): Promise<void> {
    for (const root of roots) this.#enqueue(root, 'a snapshot');
    while (this.#next.length > 0) {
      const level = this.#next;
      this.#next = [];
      await this.#readLevel(level);
    }
  }

  /** Lets go of the memory for reading; what was reached stays known. */
  release(): void {
    this.#fetcher = undefined;
  }

  async #readLevel(level: readonly number[]): Promise<void> {
    const { repository, index, pool } = this.#parts;
    this.#fetcher ??= new BlobFetcher(repository, index, pool);
    try {
      await this.#fetcher.fetch(level, (entry, plain) => this.#take(entry, plain), { signal: this.#parts.signal });
    } catch (error) {
      if (!hasCode(error, 'repository.damaged', 'storage.not-found', 'storage.io')) throw error;
      // Something in this level cannot be read: one by one, so that every fault is named and the rest is used.
      for (const entry of level) if (!this.#read.has(entry)) await this.#readAlone(entry);
    }
  }

  async #readAlone(entry: number): Promise<void> {
    const { repository, index, signal } = this.#parts;
    const place = index.location(entry)!;
    const range = { offset: place.offset, length: place.length };
    let plain: Uint8Array;
    try {
      const stored = await repository.storage.get(packName(place.pack), range, signal);
      plain = openBlob(repository, stored, place.uncompressedLength, 'tree', index.id(entry));
    } catch (error) {
      if (!hasCode(error, 'repository.damaged', 'storage.not-found', 'storage.io')) throw error;
      this.#read.add(entry);
      this.#fault(entry, `in pack ${place.pack} cannot be read: ${messageOf(error)}`);
      return;
    }
    this.#take(entry, plain);
  }

  #take(entry: number, plain: Uint8Array): void {
    this.#read.add(entry);
    let nodes: readonly Node[];
    try {
      nodes = decodeTree(plain);
    } catch (error) {
      this.#fault(entry, `is not well formed: ${messageOf(error)}`);
      return;
    }
    this.trees++;
    for (const node of nodes) this.#node(entry, node);
    this.#parts.progress?.();
  }

  #node(tree: number, node: Node): void {
    if (node.type === 'dir') {
      if (node.subtree === undefined) this.#fault(tree, `says nothing of what the directory ${shown(node)} holds`);
      else this.#enqueue(node.subtree, `the directory ${shown(node)}`);
    } else if (node.type === 'file') {
      this.#content(tree, node);
    }
  }

  #content(tree: number, node: Node): void {
    const { index, report } = this.#parts;
    const content = node.content ?? new Uint8Array();
    let bytes = 0;
    let complete = true;
    for (let at = 0; at < content.byteLength; at += 32) {
      const entry = index.find('data', content, at);
      if (entry >= 0) {
        this.#reached(entry);
        bytes += index.plainLength(entry);
        continue;
      }
      complete = false;
      const id = toHex(content.subarray(at, at + 32));
      report(faultOf('blob-missing', `data ${id}`, `data blob ${id} is in no index: the file ${shown(node)} needs it`));
    }
    if (!complete || bytes === node.size) return;
    const message = `the file ${shown(node)} has ${node.size} bytes by its tree ${this.#idOf(tree)}, its blobs have ${bytes}`;
    report(faultOf('size-differs', `tree ${this.#idOf(tree)}`, message));
  }

  #enqueue(treeId: string, needer: string): void {
    const entry = this.#parts.index.find('tree', idBytesOf(treeId));
    if (entry < 0) {
      const message = `tree ${treeId} is in no index: ${needer} needs it`;
      this.#parts.report(faultOf('blob-missing', `tree ${treeId}`, message));
    } else if (this.#reached(entry)) {
      this.#next.push(entry);
    }
  }

  /** True the first time. */
  #reached(entry: number): boolean {
    if (!this.used.add(entry)) return false;
    this.storedBytes += this.#parts.index.storedLength(entry);
    this.plainBytes += this.#parts.index.plainLength(entry);
    return true;
  }

  #fault(tree: number, what: string): void {
    this.unreadable.add(tree);
    const id = this.#idOf(tree);
    this.#parts.report(faultOf('tree-damaged', `tree ${id}`, `tree ${id} ${what}`));
  }

  #idOf(entry: number): string {
    return toHex(this.#parts.index.id(entry));
  }
}

function shown(node: Node): string {
  return `«${printableName(node.name)}»`;
}
