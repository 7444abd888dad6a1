/**
 * A drill's comparison: the whole snapshot beside the restored copy, object by object. What is equal is counted; what is
 * not becomes a failed check of its own. Memory: the directories on the way down, and files with several names.
 */
import { formatBytes } from '../../base/bytes.ts';
import { messageOf, throwIfCancelled } from '../../base/errors.ts';
import { printableName } from '../../base/names.ts';
import type { HostFiles } from '../../hosts/host.ts';
import type { Check } from '../../model/fingerprint.ts';
import type { Node, NodeAttributes } from '../../model/node.ts';
import type { SnapshotContents, SourceContext, Throwaway } from '../driver.ts';
import { ContentComparer } from './compare-content.ts';
import { type Abilities, compareNode } from './compare-node.ts';
import type { FilesSettings } from './settings.ts';
import { joinPath } from './source-paths.ts';

/** Failed checks kept one by one; what is beyond is counted in one more. */
const mostFailures = 1000;

type Kind = 'files' | 'directories' | 'symbolic links' | 'devices, fifos and sockets';

interface Comparison {
  readonly source: SourceContext<FilesSettings>;
  readonly contents: SnapshotContents;
  readonly files: HostFiles;
  readonly content: ContentComparer;
  readonly can: Abilities;
  readonly totals: Totals;
  readonly names: HardLinks;
}

export async function compareFiles(
  source: SourceContext<FilesSettings>,
  contents: SnapshotContents,
  { directory, host }: Throwaway,
): Promise<Check[]> {
  const { files, limits } = host;
  const can = { root: (await files.attributes(directory)).uid === 0, exactTimes: !limits?.length };
  const totals = new Totals();
  const content = new ContentComparer(files, source.signal);
  await compareDirectory({ source, contents, files, content, can, totals, names: new HardLinks() }, '/', directory);
  return totals.checks();
}

async function compareDirectory(comparison: Comparison, path: string, place: string): Promise<void> {
  const { contents, files, totals, source } = comparison;
  const restored = await files.list(place, (below, error) => {
    totals.failed({
      subject: printableName(below),
      measure: 'readable',
      expected: 'yes',
      found: messageOf(error),
      ok: false,
    });
  });
  const found = new Map(restored.map((one) => [one.name, one]));
  for (const node of await contents.children(path)) {
    throwIfCancelled(source.signal);
    const child = joinPath(path, node.name);
    const other = found.get(node.name);
    found.delete(node.name);
    totals.expect(kindOf(node), node.size);
    if (!other) {
      totals.failed({
        subject: printableName(child),
        measure: 'present',
        expected: 'yes',
        found: 'missing',
        ok: false,
      });
      continue;
    }
    totals.find(kindOf(other), other.size);
    await compareObject(comparison, child, joinPath(place, node.name), { node, other });
  }
  for (const name of found.keys()) {
    const subject = printableName(joinPath(path, name));
    totals.failed({ subject, measure: 'present', expected: 'absent', found: found.get(name)!.type, ok: false });
  }
  source.report({
    type: 'progress',
    stage: 'compare',
    bytesDone: totals.bytesCompared,
    itemsDone: totals.compared,
    subject: path,
  });
}

async function compareObject(
  comparison: Comparison,
  path: string,
  place: string,
  { node, other }: { node: Node; other: NodeAttributes },
): Promise<void> {
  const { totals, names, can, contents, content } = comparison;
  totals.metadata(compareNode(path, node, other, can));
  if (node.type !== other.type) return;
  const wrongLink = names.compare(path, node, other);
  if (wrongLink) totals.failed(wrongLink);
  if (node.type === 'dir') await compareDirectory(comparison, path, place);
  if (node.type === 'file' && names.isFirst(path, node)) {
    const difference = await content.compare(place, node, contents.contentLengths(node));
    if (!difference) totals.contentEqual(node.size);
    else totals.failed({ subject: `file ${printableName(path)}`, measure: 'sha-256', ...difference, ok: false });
  }
}

function kindOf(node: NodeAttributes): Kind {
  if (node.type === 'file') return 'files';
  if (node.type === 'dir') return 'directories';
  return node.type === 'symlink' ? 'symbolic links' : 'devices, fifos and sockets';
}

/** Files with several names: which of them are one file must be the same in the copy. */
class HardLinks {
  /** Snapshot's file → its first path and the restored file found there. */
  readonly #firsts = new Map<string, { path: string; restored: string }>();
  /** Restored file → the snapshot's file. */
  readonly #origins = new Map<string, string>();

  compare(path: string, node: Node, found: NodeAttributes): Check | undefined {
    if (node.type !== 'file' || (node.links < 2 && found.links < 2)) return undefined;
    const origin = node.links < 2 ? path : identity(node);
    const restored = identity(found);
    const first = this.#firsts.get(origin);
    if (!first) this.#firsts.set(origin, { path, restored });
    const known = this.#origins.get(restored) ?? origin;
    this.#origins.set(restored, known);
    const same = known === origin && (first === undefined || first.restored === restored);
    if (same) return undefined;
    return {
      subject: `file ${printableName(path)}`,
      measure: 'hard link',
      expected: first ? `the same file as ${printableName(first.path)}` : 'a file of its own',
      found: first ? 'another file' : 'a further name of another file',
      ok: false,
    };
  }

  /** Content of a file with several names is compared once. */
  isFirst(path: string, node: Node): boolean {
    return node.links < 2 || this.#firsts.get(identity(node))?.path === path;
  }
}

function identity(node: NodeAttributes): string {
  return `${node.deviceId}:${node.inode}`;
}

/** Counts of both sides, and the failures. */
class Totals {
  compared = 0;
  bytesCompared = 0;
  readonly #expected = new Map<Kind, number>();
  readonly #found = new Map<Kind, number>();
  #bytesExpected = 0;
  #bytesFound = 0;
  #filesEqual = 0;
  #metadataEqual = 0;
  readonly #failures: Check[] = [];
  #moreFailures = 0;

  expect(kind: Kind, bytes: number): void {
    this.#expected.set(kind, (this.#expected.get(kind) ?? 0) + 1);
    this.#bytesExpected += bytes;
  }

  find(kind: Kind, bytes: number): void {
    this.#found.set(kind, (this.#found.get(kind) ?? 0) + 1);
    this.#bytesFound += bytes;
    this.compared++;
  }

  metadata(differences: readonly Check[]): void {
    if (differences.length === 0) this.#metadataEqual++;
    for (const difference of differences) this.failed(difference);
  }

  contentEqual(bytes: number): void {
    this.#filesEqual++;
    this.bytesCompared += bytes;
  }

  failed(check: Check): void {
    if (this.#failures.length < mostFailures) this.#failures.push(check);
    else this.#moreFailures++;
  }

  /** Failures first. An empty snapshot has its counts of zero compared too. */
  checks(): Check[] {
    const kinds: readonly Kind[] = ['files', 'directories', 'symbolic links', 'devices, fifos and sockets'];
    const equal = (subject: string, measure: string, expected: string, found: string): Check => {
      return { subject, measure, expected, found, ok: expected === found };
    };
    const counts = kinds.map((kind) =>
      equal(kind, 'count', `${this.#expected.get(kind) ?? 0}`, `${this.#found.get(kind) ?? 0}`),
    );
    const checks = [
      ...this.#failures,
      ...counts,
      equal('files', 'bytes', `${this.#bytesExpected}`, `${this.#bytesFound}`),
    ];
    if (this.#filesEqual > 0) {
      const subject = `content of ${this.#filesEqual} files (${formatBytes(this.bytesCompared)})`;
      checks.push(equal(subject, 'sha-256', 'equal', 'equal'));
    }
    if (this.#metadataEqual > 0) {
      const subject = `type, mode, owner, times and attributes of ${this.#metadataEqual} objects`;
      checks.push(equal(subject, 'metadata', 'equal', 'equal'));
    }
    if (this.#moreFailures > 0) checks.push(equal('further differences', 'count', '0', `${this.#moreFailures}`));
    return checks;
  }
}
