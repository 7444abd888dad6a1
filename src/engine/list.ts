/** What a snapshot holds: its nodes with their paths, in tree order, parents first. Memory: the trees on the way down. */
import { throwIfCancelled } from '../base/errors.ts';
import type { SnapshotContents } from '../drivers/driver.ts';
import type { Node } from '../model/node.ts';

export interface ListedNode {
  /** Absolute within the snapshot. */
  readonly path: string;
  readonly node: Node;
}

export interface ListOptions {
  /** Where to begin; `/` by default. A file is listed as itself, a directory by what it holds. */
  readonly path?: string;
  /** Also what lies deeper than the first level. */
  readonly recursive?: boolean;
  readonly signal?: AbortSignal;
}

/** Lists. `snapshot.path-missing` if there is nothing at `path`. */
export async function* listContents(
  contents: Pick<SnapshotContents, 'node' | 'children'>,
  options: ListOptions = {},
): AsyncGenerator<ListedNode> {
  const path = `/${(options.path ?? '')
    .split('/')
    .filter((name) => name !== '' && name !== '.')
    .join('/')}`;
  const node = path === '/' ? undefined : await contents.node(path);
  if (node && node.type !== 'dir') yield { path, node };
  else yield* listChildren(contents, path, options);
}

async function* listChildren(
  contents: Pick<SnapshotContents, 'children'>,
  path: string,
  options: ListOptions,
): AsyncGenerator<ListedNode> {
  throwIfCancelled(options.signal);
  for (const node of await contents.children(path)) {
    const childPath = `${path === '/' ? '' : path}/${node.name}`;
    yield { path: childPath, node };
    if (options.recursive && node.type === 'dir') yield* listChildren(contents, childPath, options);
  }
}
