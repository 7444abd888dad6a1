/**
 * Writes a part of a snapshot's tree below a directory. Content goes through `ContentWriter`; hard links are made when
 * their files are complete, directories get their attributes last, deepest first.
 */
import { hasCode, throwIfCancelled } from '../base/errors.ts';
import { printableName } from '../base/names.ts';
import { compileSelection, type Selection } from '../base/patterns.ts';
import type { WriteTreeOptions, WriteTreeResult } from '../drivers/driver.ts';
import type { Host, RestoreTarget } from '../hosts/host.ts';
import type { Node } from '../model/node.ts';
import { BlobFetcher, type BlobIndex, loadTree, type Repository, type WorkerPool } from '../repository/index.ts';
import { compareContent } from './compare-content.ts';
import { ContentWriter } from './content-writer.ts';
import type { ProgressMeter } from './progress.ts';

/** Sentences kept about metadata that could not be restored; what is beyond is only counted. */
const mostProblems = 100;

export interface RestoreTreeRequest {
  readonly repository: Repository;
  readonly index: BlobIndex;
  readonly pool: WorkerPool;
  readonly host: Host;
  /** Where in the snapshot: `nodes` are what lies at `path`. */
  readonly path: string;
  readonly nodes: readonly Node[];
  readonly directory: string;
  readonly options: WriteTreeOptions;
  readonly meter: ProgressMeter;
  readonly signal?: AbortSignal;
}

/** Restores; throws on the first content that cannot be restored, after letting go of unfinished files. */
export async function restoreTree(request: RestoreTreeRequest): Promise<WriteTreeResult> {
  const existing = request.options.existing === 'make-equal' ? 'replace' : 'refuse';
  await using target = await request.host.openTarget(request.directory, existing);
  const restorer = new TreeRestorer(request, target);
  return await restorer.run();
}

class TreeRestorer {
  readonly #request: RestoreTreeRequest;
  readonly #target: RestoreTarget;
  readonly #selection: Selection;
  readonly #content: ContentWriter;
  readonly #directories: { path: string; node: Node }[] = [];
  /** First path of each file with several names. */
  readonly #names = new Map<string, string>();
  readonly #links: { path: string; existing: string }[] = [];
  readonly #problems: string[] = [];
  #moreProblems = 0;
  #madeDirectory = '';

  constructor(request: RestoreTreeRequest, target: RestoreTarget) {
    this.#request = request;
    this.#target = target;
    this.#selection = compileSelection(request.options);
    const { repository, index, pool, meter, signal } = request;
    this.#content = new ContentWriter({
      index,
      fetcher: new BlobFetcher(repository, index, pool),
      target,
      problem: (message) => this.#problem(message),
      progress: (bytes, path) => meter.add(bytes, path),
      signal,
    });
  }

  async run(): Promise<WriteTreeResult> {
    const { path, nodes, directory } = this.#request;
    try {
      await this.#target.makeDirectory(directory);
      await this.#children(nodes, path === '/' ? '' : path, directory === '/' ? '' : directory);
      await this.#content.finish();
    } catch (error) {
      await this.#content.abandon();
      throw error;
    }
    for (const { path: link, existing } of this.#links) await this.#target.makeLink(link, existing);
    for (const { path: made, node } of this.#directories.toReversed()) await this.#applyAttributes(made, node);
    // What replaces something must be on the disk before it counts; what is new can be restored again after a power cut.
    if (this.#request.options.existing === 'make-equal') await this.#target.finish();
    if (this.#moreProblems > 0) this.#problems.push(`… and ${this.#moreProblems} more`);
    return { files: this.#content.files, bytes: this.#content.bytes, problems: this.#problems };
  }

  /** Restores the selected among `nodes`; true if there was any. */
  async #children(nodes: readonly Node[], from: string, to: string): Promise<boolean> {
    let any = false;
    for (const node of nodes) {
      throwIfCancelled(this.#request.signal);
      if (await this.#node(node, `${from}/${node.name}`, `${to}/${node.name}`, to || '/')) any = true;
    }
    return any;
  }

  async #node(node: Node, path: string, to: string, parent: string): Promise<boolean> {
    const { selected, descend } = this.#selection.select(path, node.type === 'dir');
    if (node.type === 'dir') return await this.#directory(node, path, to, { selected, descend });
    if (!selected) return false;
    await this.#ensureDirectory(parent);
    const firstName = this.#firstName(node, to);
    if (firstName !== undefined) {
      this.#links.push({ path: to, existing: firstName });
    } else if (node.type === 'file') {
      await this.#file(node, to);
    } else if (node.type === 'irregular') {
      this.#problem(`${printableName(to)}: an object of unknown type was not restored`);
    } else {
      await this.#special(node, to);
    }
    return true;
  }

  async #directory(
    node: Node,
    path: string,
    to: string,
    choice: { selected: boolean; descend: boolean },
  ): Promise<boolean> {
    if (!choice.selected && !choice.descend) return false;
    const place = this.#directories.length;
    if (choice.selected) await this.#ensureDirectory(to);
    const { repository, signal } = this.#request;
    const nodes = node.subtree === undefined ? [] : await loadTree(repository, node.subtree, signal);
    const any = await this.#children(nodes, path, to);
    if (!choice.selected && !any) return false;
    // Before its own children in the list, so that going backwards means deepest first.
    this.#directories.splice(place, 0, { path: to, node });
    return true;
  }

  /** A device that cannot be made (not root, a container) is a problem to tell, not the end of the restore. */
  async #special(node: Node, to: string): Promise<void> {
    try {
      await this.#target.makeSpecial(to, node);
    } catch (error) {
      if (!hasCode(error, 'restore.failed')) throw error;
      this.#problem(error.message);
      return;
    }
    await this.#applyAttributes(to, node);
  }

  async #file(node: Node, to: string): Promise<void> {
    if (this.#request.options.existing !== 'make-equal') return await this.#content.add(to, node);
    const { host, pool, index, signal } = this.#request;
    const equal = await compareContent({ host, pool, index, path: to, node, signal });
    const writer = equal && (await this.#target.reviseFile(to, node.size));
    await this.#content.add(to, node, equal && writer ? { writer, equal } : undefined);
  }

  #firstName(node: Node, to: string): string | undefined {
    if (node.links < 2) return undefined;
    const key = `${node.deviceId}:${node.inode}`;
    const first = this.#names.get(key);
    if (first === undefined) this.#names.set(key, to);
    return first;
  }

  async #ensureDirectory(path: string): Promise<void> {
    if (path === this.#madeDirectory) return;
    await this.#target.makeDirectory(path);
    this.#madeDirectory = path;
  }

  async #applyAttributes(path: string, node: Node): Promise<void> {
    await this.#target.applyAttributes(path, node, (message) => this.#problem(message));
  }

  #problem(message: string): void {
    if (this.#problems.length < mostProblems) this.#problems.push(message);
    else this.#moreProblems++;
  }
}
