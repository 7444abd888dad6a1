/**
 * What damaged or missing blobs mean for a person: which snapshots, which paths. Walks with paths, but passes by every
 * tree it has found sound once. Memory: one bit a blob and the paths listed.
 */
import { hasCode } from '../../base/errors.ts';
import type { Node } from '../../model/node.ts';
import type { StoredSnapshot } from '../../model/snapshot.ts';
import type { BlobIndex } from '../blob-index/blob-index.ts';
import { idBytesOf } from '../blob-index/index-files.ts';
import { decodeTree } from '../format/tree.ts';
import { EntrySet } from '../inventory/entry-set.ts';
import { packName } from '../layout.ts';
import { openBlob } from '../reading/blobs.ts';
import type { Repository } from '../repository.ts';
import type { AffectedSnapshot } from './fault.ts';

/** Paths listed for one snapshot, and for all together. */
const mostPathsEach = 50;
const mostPaths = 1000;

interface Damage {
  readonly repository: Repository;
  readonly index: BlobIndex;
  /** Entries that cannot be read; a blob that is in no index is damaged too. */
  readonly damaged: { has(entry: number): boolean };
  readonly signal?: AbortSignal;
}

/** The snapshots that need something damaged, with some of their paths. Reads the trees of the snapshots again. */
export async function affectedBy(damage: Damage, snapshots: readonly StoredSnapshot[]): Promise<AffectedSnapshot[]> {
  const finder = new AffectedFinder(damage);
  const affected: AffectedSnapshot[] = [];
  for (const snapshot of snapshots) {
    const found = await finder.search(snapshot);
    if (found) affected.push(found);
  }
  return affected;
}

class AffectedFinder {
  readonly #damage: Damage;
  readonly #sound = new EntrySet();
  #listed = 0;
  #paths: string[] = [];
  #more = false;

  constructor(damage: Damage) {
    this.#damage = damage;
  }

  async search(snapshot: StoredSnapshot): Promise<AffectedSnapshot | undefined> {
    this.#paths = [];
    this.#more = false;
    if (await this.#treeIsSound(snapshot.tree, '')) return undefined;
    return { snapshot, paths: this.#paths, more: this.#more };
  }

  async #treeIsSound(treeId: string, path: string): Promise<boolean> {
    const { index, damaged, signal } = this.#damage;
    signal?.throwIfAborted();
    const entry = index.find('tree', idBytesOf(treeId));
    if (entry >= 0 && this.#sound.has(entry)) return true;
    const nodes = entry < 0 || damaged.has(entry) ? undefined : await this.#nodes(entry);
    if (!nodes) {
      this.#list(path || '/');
      return false;
    }
    let sound = true;
    for (const node of nodes) {
      // One damaged snapshot is known to be that: beyond the bound nothing more has to be found out about it.
      if (this.#more) return false;
      if (!(await this.#nodeIsSound(node, `${path}/${node.name}`))) sound = false;
    }
    if (sound) this.#sound.add(entry);
    return sound;
  }

  async #nodeIsSound(node: Node, path: string): Promise<boolean> {
    if (node.type === 'dir' && node.subtree !== undefined) return await this.#treeIsSound(node.subtree, path);
    const { index, damaged } = this.#damage;
    const content = node.content ?? new Uint8Array();
    for (let at = 0; at < content.byteLength; at += 32) {
      const entry = index.find('data', content, at);
      if (entry >= 0 && !damaged.has(entry)) continue;
      this.#list(path);
      return false;
    }
    return true;
  }

  async #nodes(entry: number): Promise<Node[] | undefined> {
    const { repository, index, signal } = this.#damage;
    const place = index.location(entry)!;
    try {
      const range = { offset: place.offset, length: place.length };
      const stored = await repository.storage.get(packName(place.pack), range, signal);
      return decodeTree(openBlob(repository, stored, place.uncompressedLength, 'tree', index.id(entry)));
    } catch (error) {
      if (!hasCode(error, 'repository.damaged', 'storage.not-found', 'storage.io')) throw error;
      return undefined;
    }
  }

  #list(path: string): void {
    if (this.#paths.length >= mostPathsEach || (this.#paths.length > 0 && this.#listed >= mostPaths)) {
      this.#more = true;
      return;
    }
    this.#paths.push(path);
    this.#listed++;
  }
}
