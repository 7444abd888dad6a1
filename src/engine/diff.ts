/**
 * What differs between two snapshots. Directories with the same id are equal and are not read. Memory: the two trees at
 * each level on the way down.
 */
import { equalBytes } from '../base/bytes.ts';
import { throwIfCancelled } from '../base/errors.ts';
import { compareNames } from '../base/names.ts';
import type { ExtendedAttribute, Node } from '../model/node.ts';
import { type BlobIndex, loadIndex, loadTree, type Repository } from '../repository/index.ts';

/** `type`: something else stands at the path · `content`: a file's bytes, or where a link or device leads · `metadata`: all but those. */
export type ChangeKind = 'added' | 'removed' | 'type' | 'content' | 'metadata';

export interface Difference {
  readonly path: string;
  readonly change: ChangeKind;
  readonly before?: Node;
  readonly after?: Node;
  /** For files: bytes of the blobs on the one side that the other side's file does not have. */
  readonly addedBytes: number;
  readonly removedBytes: number;
}

/** Every difference from tree `before` to tree `after` (ids in hex), in tree order. A directory that is new or gone is followed by everything in it. */
export async function* diffTrees(
  repository: Repository,
  before: string,
  after: string,
  signal?: AbortSignal,
): AsyncGenerator<Difference> {
  const differ = new Differ(repository, await loadIndex(repository, signal), signal);
  yield* differ.trees(before, after, '');
}

class Differ {
  readonly #repository: Repository;
  readonly #index: BlobIndex;
  readonly #signal: AbortSignal | undefined;

  constructor(repository: Repository, index: BlobIndex, signal: AbortSignal | undefined) {
    this.#repository = repository;
    this.#index = index;
    this.#signal = signal;
  }

  async *trees(before: string | undefined, after: string | undefined, path: string): AsyncGenerator<Difference> {
    if (before === after) return;
    throwIfCancelled(this.#signal);
    const [old, now] = await Promise.all([this.#load(before), this.#load(after)]);
    for (const [a, b] of sideBySide(old, now)) {
      const childPath = `${path}/${(a ?? b)!.name}`;
      const difference = this.#compare(childPath, a, b);
      if (difference) yield difference;
      yield* this.trees(a?.subtree, b?.subtree, childPath);
    }
  }

  async #load(tree: string | undefined): Promise<readonly Node[]> {
    return tree === undefined ? [] : await loadTree(this.#repository, tree, this.#signal);
  }

  #compare(path: string, before: Node | undefined, after: Node | undefined): Difference | undefined {
    const change = changeOf(before, after);
    if (!change) return undefined;
    const addedBytes = change === 'metadata' ? 0 : this.#bytesOnlyIn(after?.content, before?.content);
    const removedBytes = change === 'metadata' ? 0 : this.#bytesOnlyIn(before?.content, after?.content);
    return { path, change, before, after, addedBytes, removedBytes };
  }

  #bytesOnlyIn(content: Uint8Array = new Uint8Array(), other: Uint8Array = new Uint8Array()): number {
    const known = new Set<number>();
    for (let at = 0; at < other.byteLength; at += 32) known.add(this.#index.find('data', other, at));
    let bytes = 0;
    for (let at = 0; at < content.byteLength; at += 32) {
      const entry = this.#index.find('data', content, at);
      if (entry >= 0 && !known.has(entry)) bytes += this.#index.plainLength(entry);
    }
    return bytes;
  }
}

/** Pairs by name; both lists are sorted by name bytes. */
function* sideBySide(before: readonly Node[], after: readonly Node[]): Generator<[Node | undefined, Node | undefined]> {
  let a = 0;
  let b = 0;
  while (a < before.length || b < after.length) {
    const order = a === before.length ? 1 : b === after.length ? -1 : compareNames(before[a].name, after[b].name);
    yield [order <= 0 ? before[a++] : undefined, order >= 0 ? after[b++] : undefined];
  }
}

function changeOf(before: Node | undefined, after: Node | undefined): ChangeKind | undefined {
  if (!before) return 'added';
  if (!after) return 'removed';
  if (before.type !== after.type) return 'type';
  if (!sameContent(before, after)) return 'content';
  return sameMetadata(before, after) ? undefined : 'metadata';
}

function sameContent(before: Node, after: Node): boolean {
  if (before.linkTarget !== after.linkTarget || before.device !== after.device || before.size !== after.size)
    return false;
  return equalBytes(before.content ?? new Uint8Array(), after.content ?? new Uint8Array());
}

/** Access times and inode numbers are left out: they differ without anybody having changed anything. */
function sameMetadata(before: Node, after: Node): boolean {
  const facts = (node: Node): string =>
    JSON.stringify([node.mode, String(node.mtimeNs), node.uid, node.gid, node.user, node.group]);
  return facts(before) === facts(after) && attributesOf(before.xattrs) === attributesOf(after.xattrs);
}

function attributesOf(xattrs: readonly ExtendedAttribute[] = []): string {
  const pairs = xattrs.map(({ name, value }): [string, string] => [name, Buffer.from(value).toString('base64')]);
  return JSON.stringify(pairs.sort(([a], [b]) => (a < b ? -1 : 1)));
}
