/**
 * Finding things by pattern in many snapshots at once. Snapshots are walked side by side: at each path, every distinct
 * directory is read once, however many snapshots share it. Memory: the distinct directories at the paths on the way down.
 */
import { hash } from 'node:crypto';
import { throwIfCancelled } from '../base/errors.ts';
import { compareNames } from '../base/names.ts';
import { compilePatterns, type PatternSet } from '../base/patterns.ts';
import type { Node } from '../model/node.ts';
import type { StoredSnapshot } from '../model/snapshot.ts';
import { loadTree, type Repository } from '../repository/index.ts';

export interface FindOptions {
  /** See `base/patterns.ts`; what lies below a match matches too. */
  readonly patterns: readonly string[];
  readonly ignoreCase?: boolean;
  readonly signal?: AbortSignal;
}

/** One state of the thing at a path, and the snapshots that hold it in that state, in the order given. */
export interface FoundVersion {
  readonly path: string;
  readonly node: Node;
  readonly snapshots: readonly StoredSnapshot[];
}

interface Version {
  readonly node: Node;
  readonly snapshots: StoredSnapshot[];
}

/** Every version of everything that matches, path by path in tree order, versions in order of the snapshots. */
export async function* findInSnapshots(
  repository: Repository,
  snapshots: readonly StoredSnapshot[],
  options: FindOptions,
): AsyncGenerator<FoundVersion> {
  const patterns = compilePatterns(options.patterns, { ignoreCase: options.ignoreCase });
  const finder = new Finder(repository, patterns, options.signal);
  const roots = Map.groupBy(snapshots, (snapshot) => snapshot.tree);
  yield* finder.search('', roots);
}

class Finder {
  readonly #repository: Repository;
  readonly #patterns: PatternSet;
  readonly #signal: AbortSignal | undefined;

  constructor(repository: Repository, patterns: PatternSet, signal: AbortSignal | undefined) {
    this.#repository = repository;
    this.#patterns = patterns;
    this.#signal = signal;
  }

  /** `trees`: the distinct directories at `path`, each with the snapshots it stands in. */
  async *search(path: string, trees: ReadonlyMap<string, readonly StoredSnapshot[]>): AsyncGenerator<FoundVersion> {
    const byName = await this.#versionsByName(trees);
    for (const [name, versions] of byName) {
      const childPath = `${path}/${name}`;
      for (const { node, snapshots } of versions.values()) {
        if (this.#patterns.matches(childPath, node.type === 'dir')) yield { path: childPath, node, snapshots };
      }
      const subtrees = subtreesOf(versions.values());
      if (subtrees.size > 0 && this.#mayHold(childPath)) yield* this.search(childPath, subtrees);
    }
  }

  #mayHold(path: string): boolean {
    return this.#patterns.matches(path, true) || this.#patterns.mayMatchBelow(path);
  }

  async #versionsByName(
    trees: ReadonlyMap<string, readonly StoredSnapshot[]>,
  ): Promise<[string, Map<string, Version>][]> {
    const byName = new Map<string, Map<string, Version>>();
    for (const [tree, snapshots] of trees) {
      throwIfCancelled(this.#signal);
      for (const node of await loadTree(this.#repository, tree, this.#signal)) {
        const versions = byName.get(node.name) ?? new Map<string, Version>();
        byName.set(node.name, versions);
        const key = versionKey(node);
        const known = versions.get(key);
        if (known) known.snapshots.push(...snapshots);
        else versions.set(key, { node, snapshots: [...snapshots] });
      }
    }
    return [...byName].sort(([a], [b]) => compareNames(a, b));
  }
}

function subtreesOf(versions: Iterable<Version>): Map<string, StoredSnapshot[]> {
  const subtrees = new Map<string, StoredSnapshot[]>();
  for (const { node, snapshots } of versions) {
    if (node.subtree === undefined) continue;
    const known = subtrees.get(node.subtree);
    if (known) known.push(...snapshots);
    else subtrees.set(node.subtree, [...snapshots]);
  }
  return subtrees;
}

/** Equal for what a person takes for the same state: content, type, size, times of change, owner, permissions. */
function versionKey(node: Node): string {
  const content = node.content === undefined ? '' : hash('sha256', node.content);
  const { type, mode, uid, gid, size, mtimeNs, subtree = '', linkTarget = '' } = node;
  return JSON.stringify([type, mode, uid, gid, size, String(mtimeNs), subtree, linkTarget, content]);
}
