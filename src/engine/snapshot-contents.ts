/** A snapshot as drivers see it when they restore: paths, bytes, whole trees. */
import { HoldfastError } from '../base/errors.ts';
import { printableName } from '../base/names.ts';
import type { SnapshotContents, WriteTreeOptions, WriteTreeResult } from '../drivers/driver.ts';
import type { Host } from '../hosts/host.ts';
import type { Node } from '../model/node.ts';
import type { StoredSnapshot } from '../model/snapshot.ts';
import { BlobFetcher, type BlobIndex, loadTree, type Repository, type WorkerPool } from '../repository/index.ts';
import type { ProgressMeter } from './progress.ts';
import { restoreTree } from './restore-tree.ts';

/** Bytes fetched ahead while the reader consumes what came before. */
const aheadBytes = 16 << 20;
const treeCacheSize = 64;

export interface OpenContents {
  readonly repository: Repository;
  readonly index: BlobIndex;
  readonly pool: WorkerPool;
  readonly snapshot: StoredSnapshot;
  /** The machine `writeTree` writes to unless it is told otherwise. */
  readonly host: Host;
  readonly meter: ProgressMeter;
  readonly signal?: AbortSignal;
}

export class RepositoryContents implements SnapshotContents {
  readonly id: string;
  readonly paths: readonly string[];
  readonly #open: OpenContents;
  readonly #trees = new Map<string, readonly Node[]>();

  constructor(open: OpenContents) {
    this.#open = open;
    this.id = open.snapshot.id;
    this.paths = open.snapshot.paths;
  }

  async node(path: string): Promise<Node | undefined> {
    const names = path.split('/').filter((name) => name !== '');
    let tree: string | undefined = this.#open.snapshot.tree;
    let node: Node | undefined;
    for (const name of names) {
      if (tree === undefined) return undefined;
      node = (await this.#tree(tree)).find((one) => one.name === name);
      if (!node) return undefined;
      tree = node.subtree;
    }
    return node;
  }

  async children(path: string): Promise<readonly Node[]> {
    const node = path === '/' ? undefined : await this.node(path);
    const tree = path === '/' ? this.#open.snapshot.tree : node?.subtree;
    if (tree === undefined) throw this.#noSuchPath(path);
    return await this.#tree(tree);
  }

  contentLengths(node: Node): readonly number[] {
    const { index } = this.#open;
    const content = node.content ?? new Uint8Array();
    return Array.from({ length: content.byteLength / 32 }, (_, i) => {
      const entry = index.find('data', content, i * 32);
      return entry < 0 ? 0 : index.plainLength(entry);
    });
  }

  async *read(path: string): AsyncIterable<Uint8Array> {
    const node = await this.node(path);
    if (node?.type !== 'file') throw this.#noSuchPath(path);
    const { repository, index, pool } = this.#open;
    const fetcher = new BlobFetcher(repository, index, pool);
    const lengths = this.contentLengths(node);
    let next = this.#fetchWindow(fetcher, node, lengths, 0);
    for (let blob = 0; blob < lengths.length; ) {
      const { blobs, end } = await next;
      if (end < lengths.length) {
        next = this.#fetchWindow(fetcher, node, lengths, end);
        next.catch(() => undefined);
      }
      yield* blobs;
      blob = end;
    }
  }

  async writeTree(path: string, directory: string, options: WriteTreeOptions = {}): Promise<WriteTreeResult> {
    const node = path === '/' ? undefined : await this.node(path);
    if (path !== '/' && !node) throw this.#noSuchPath(path);
    const isDirectory = path === '/' || node?.type === 'dir';
    const nodes = isDirectory ? await this.children(path) : [node!];
    const parent = isDirectory ? path : path.slice(0, path.lastIndexOf('/')) || '/';
    const host = options.host ?? this.#open.host;
    return await restoreTree({ ...this.#open, host, path: parent, nodes, directory, options });
  }

  /** The plaintext of some MiB of a file's blobs from number `first` on, in order. */
  async #fetchWindow(
    fetcher: BlobFetcher,
    node: Node,
    lengths: readonly number[],
    first: number,
  ): Promise<{ blobs: Uint8Array[]; end: number }> {
    const content = node.content!;
    const places = new Map<number, number[]>();
    let end = first;
    for (let bytes = 0; end < lengths.length && (end === first || bytes + lengths[end] <= aheadBytes); end++) {
      const entry = this.#open.index.find('data', content, end * 32);
      if (entry < 0) throw this.#missingBlob(node, end);
      const known = places.get(entry);
      if (known) known.push(end - first);
      else places.set(entry, [end - first]);
      bytes += lengths[end];
    }
    const blobs = new Array<Uint8Array>(end - first);
    await fetcher.fetch(
      [...places.keys()],
      (entry, plain) => {
        const copy = Uint8Array.from(plain);
        for (const place of places.get(entry)!) blobs[place] = copy;
      },
      { signal: this.#open.signal },
    );
    return { blobs, end };
  }

  async #tree(id: string): Promise<readonly Node[]> {
    const known = this.#trees.get(id);
    if (known) return known;
    const nodes = await loadTree(this.#open.repository, id, this.#open.signal);
    if (this.#trees.size >= treeCacheSize) this.#trees.delete(this.#trees.keys().next().value!);
    this.#trees.set(id, nodes);
    return nodes;
  }

  #missingBlob(node: Node, blob: number): HoldfastError {
    return new HoldfastError({
      code: 'repository.damaged',
      message: `${printableName(node.name)} cannot be read: its blob number ${blob} is in no index`,
      remedy: 'Run holdfast repo check; another snapshot or copy may still hold it.',
    });
  }

  #noSuchPath(path: string): HoldfastError {
    return new HoldfastError({
      code: 'snapshot.path-missing',
      message: `snapshot ${this.id.slice(0, 8)} holds no ${printableName(path)}`,
      remedy: `See what it holds with: holdfast ls ${this.id.slice(0, 8)}`,
    });
  }
}
