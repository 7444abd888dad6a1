/**
 * Walks a capture and stores it: files become blobs, directories become trees, bottom up. Files of the parent snapshot
 * whose attributes are equal are not read again. Memory: the nodes of directories that are not finished, at most
 * `openNodes` files in flight, and the saver's slabs.
 */
import { Semaphore } from '../base/concurrency.ts';
import { HoldfastError, hasCode, messageOf } from '../base/errors.ts';
import { compareNames, printableName } from '../base/names.ts';
import type { DirectoryEntry, Entry, FileEntry } from '../drivers/driver.ts';
import type { FileReader } from '../hosts/host.ts';
import type { Node, NodeAttributes } from '../model/node.ts';
import type { StoredSnapshot } from '../model/snapshot.ts';
import {
  type BlobSaver,
  chunkLimits,
  encodeTree,
  loadTree,
  SmallFileBatch,
  type StoredContent,
  storeByContent,
  storePages,
} from '../repository/index.ts';
import type { ProgressMeter } from './progress.ts';

/** Files whose content is being stored at once; small ones count while their batch is under way. */
const openNodes = 4096;
/** Files read as streams at once: hides the latency between their stages. */
const openStreams = 3;

/** The kernel stamps files with a clock that ticks this often at the slowest: two writes within a tick look alike. */
const clockTickNs = 10_000_000n;

export interface ArchiveCounts {
  filesNew: number;
  filesChanged: number;
  filesUnmodified: number;
  dirsNew: number;
  dirsChanged: number;
  dirsUnmodified: number;
  files: number;
  bytes: number;
  unreadable: { path: string; message: string }[];
  changedWhileRead: string[];
}

/** A node on its way: wrapped, because a promise returned by an async function would be awaited. */
interface Underway {
  readonly node: Promise<Node | undefined>;
}

export class Archiver {
  readonly counts: ArchiveCounts = {
    filesNew: 0,
    filesChanged: 0,
    filesUnmodified: 0,
    dirsNew: 0,
    dirsChanged: 0,
    dirsUnmodified: 0,
    files: 0,
    bytes: 0,
    unreadable: [],
    changedWhileRead: [],
  };
  readonly #saver: BlobSaver;
  readonly #meter: ProgressMeter;
  readonly #small: SmallFileBatch;
  readonly #nodes = new Semaphore(openNodes);
  readonly #streams = new Semaphore(openStreams);

  /** A file that changed later than this may have been read before or after: equal attributes say nothing about it. */
  #settledBeforeNs = 0n;

  constructor(saver: BlobSaver, meter: ProgressMeter) {
    this.#saver = saver;
    this.#meter = meter;
    this.#small = new SmallFileBatch(saver);
  }

  /** Stores the tree below `root`; resolves with the root tree's id in hex. `before`: the parent snapshot. */
  async archive(root: DirectoryEntry, before: StoredSnapshot | undefined): Promise<string> {
    if (before) this.#settledBeforeNs = BigInt(before.timeMs) * 1_000_000n - clockTickNs;
    const parent = before && (await this.#loadParent(before.tree));
    const rootNode = await this.#directory(root, '', parent);
    this.#small.flush();
    const node = await rootNode.node;
    this.#saver.throwIfFailed();
    if (!node?.subtree) {
      const [first] = this.counts.unreadable;
      throw new HoldfastError({
        code: 'source.unreadable',
        message: `the source could not be read: ${first?.message ?? 'its root vanished'}`,
        remedy: 'Check that it exists and that Holdfast may read it.',
      });
    }
    return node.subtree;
  }

  async #directory(entry: DirectoryEntry, path: string, parent: Map<string, Node> | undefined): Promise<Underway> {
    this.#saver.throwIfFailed();
    const children = await entry.children();
    const underway: Promise<Node | undefined>[] = [];
    for (const child of children) {
      const childPath = `${path}/${child.attributes.name}`;
      const { node } = await this.#entry(child, childPath, parent?.get(child.attributes.name));
      // A failure is seen when the directory is put together; until then it must not count as unhandled.
      node.catch(() => undefined);
      underway.push(node);
    }
    return { node: this.#finishDirectory(entry.attributes, underway, path) };
  }

  async #entry(entry: Entry, path: string, before: Node | undefined): Promise<Underway> {
    switch (entry.kind) {
      case 'file':
        return await this.#file(entry, path, before?.type === 'file' ? before : undefined);
      case 'special':
        return { node: Promise.resolve(entry.attributes) };
      case 'dir': {
        const parent = before?.subtree === undefined ? undefined : await this.#loadParent(before.subtree);
        const { node } = await this.#directory(entry, path, parent);
        return { node: node.then((stored) => this.#countDirectory(stored, before)) };
      }
    }
  }

  #countDirectory(stored: Node | undefined, before: Node | undefined): Node | undefined {
    if (!before) this.counts.dirsNew++;
    else if (before.subtree === stored?.subtree) this.counts.dirsUnmodified++;
    else this.counts.dirsChanged++;
    return stored;
  }

  async #finishDirectory(
    attributes: NodeAttributes,
    underway: readonly Promise<Node | undefined>[],
    path: string,
  ): Promise<Node> {
    const nodes: Node[] = [];
    for (const one of underway) {
      const node = await one;
      if (node) nodes.push(node);
    }
    nodes.sort((a, b) => compareNames(a.name, b.name));
    const twice = nodes.find((node, i) => i > 0 && node.name === nodes[i - 1].name);
    if (twice) throw new Error(`the source gave ${path}/${twice.name} twice`);
    const id = await this.#saver.storeTree(encodeTree(nodes));
    return { ...attributes, subtree: Buffer.from(id).toString('hex') };
  }

  async #file(entry: FileEntry, path: string, before: Node | undefined): Promise<Underway> {
    if (before && entry.trustAttributes && this.#unchanged(entry.attributes, before)) {
      this.counts.filesUnmodified++;
      this.#countBytes(path, entry.attributes.size);
      return { node: Promise.resolve({ ...entry.attributes, content: before.content }) };
    }
    if (before) this.counts.filesChanged++;
    else this.counts.filesNew++;
    await this.#nodes.acquire();
    const storing = (await this.#smallFile(entry, path)) ?? (await this.#streamedFile(entry, path, before?.content));
    return { node: storing.node.finally(() => this.#nodes.release()) };
  }

  /** The fast path: read at once into a batch. `undefined` if the file is not small. */
  async #smallFile(entry: FileEntry, path: string): Promise<Underway | undefined> {
    if (!entry.readWhole || entry.attributes.size > chunkLimits.minBytes) return undefined;
    const room = await this.#small.room();
    let length: number;
    try {
      length = entry.readWhole(room);
    } catch (error) {
      this.#skip(entry, path, error);
      return { node: Promise.resolve(undefined) };
    }
    if (length < 0 || length > chunkLimits.minBytes) return undefined;
    if (length !== entry.attributes.size) this.#changed(path);
    this.#countBytes(path, length);
    const attributes = { ...entry.attributes, size: length };
    if (length === 0) return { node: Promise.resolve({ ...attributes, content: new Uint8Array() }) };
    return { node: this.#small.add(length).then((content) => ({ ...attributes, content })) };
  }

  async #streamedFile(entry: FileEntry, path: string, parentIds: Uint8Array | undefined): Promise<Underway> {
    await this.#streams.acquire();
    const storing = this.#stream(entry, path, parentIds).finally(() => this.#streams.release());
    return { node: storing };
  }

  async #stream(entry: FileEntry, path: string, parentIds: Uint8Array | undefined): Promise<Node | undefined> {
    let reader: FileReader;
    try {
      reader = await entry.open();
    } catch (error) {
      this.#skip(entry, path, error);
      return undefined;
    }
    try {
      const stored = await this.#storeStream(entry, reader, path, parentIds);
      const after = await reader.attributes();
      if (entry.trustAttributes && (after.size !== stored.sizeBytes || after.mtimeNs !== entry.attributes.mtimeNs)) {
        this.#changed(path);
      }
      this.counts.files++;
      return { ...entry.attributes, size: stored.sizeBytes, content: stored.ids };
    } catch (error) {
      this.#saver.throwIfFailed();
      if (!hasCode(error, 'source.unreadable')) throw error;
      this.#skip(entry, path, error);
      return undefined;
    } finally {
      await reader.close();
    }
  }

  async #storeStream(
    entry: FileEntry,
    reader: FileReader,
    path: string,
    parentIds: Uint8Array | undefined,
  ): Promise<StoredContent> {
    const progress = (bytes: number): void => {
      this.counts.bytes += bytes;
      this.#meter.add(bytes, path);
    };
    if (entry.layout.cut === 'content') return await storeByContent(this.#saver, reader, progress);
    return await storePages(this.#saver, reader, {
      pageBytes: entry.layout.pageBytes,
      sizeHint: entry.attributes.size,
      parentIds,
      progress,
    });
  }

  #unchanged(now: NodeAttributes, before: Node): boolean {
    if (now.size !== before.size || now.mtimeNs !== before.mtimeNs) return false;
    if (now.ctimeNs !== before.ctimeNs || now.inode !== before.inode) return false;
    if (now.ctimeNs >= this.#settledBeforeNs) return false;
    const { content } = before;
    if (!content) return false;
    for (let at = 0; at < content.byteLength; at += 32) if (!this.#saver.index.has('data', content, at)) return false;
    return true;
  }

  #countBytes(path: string, bytes: number): void {
    this.counts.files++;
    this.counts.bytes += bytes;
    this.#meter.add(bytes, path);
  }

  #changed(path: string): void {
    this.counts.changedWhileRead.push(path);
    this.#meter.warn('source.changed', `${printableName(path)} changed while it was read`, path);
  }

  /** Leaves a file out if its driver allows that; the driver reports it. */
  #skip(entry: FileEntry, path: string, error: unknown): void {
    if (!entry.skip || hasCode(error, 'cancelled')) throw error;
    entry.skip(error);
    this.counts.unreadable.push({ path, message: messageOf(error) });
  }

  /** The parent's tree by name. One that cannot be read any more only means that everything is read again. */
  async #loadParent(tree: string): Promise<Map<string, Node> | undefined> {
    try {
      const nodes = await loadTree(this.#saver.repository, tree);
      return new Map(nodes.map((node) => [node.name, node]));
    } catch (error) {
      if (!hasCode(error, 'repository.damaged', 'storage.not-found')) throw error;
      this.#meter.warn('repository.damaged', `the parent snapshot cannot be used: ${messageOf(error)}`);
      return undefined;
    }
  }
}
