/** Snapshot files (restic design.rst, "Snapshots"; fields as in internal/data/snapshot.go). */
import type { Snapshot, SnapshotSummary } from '../../model/snapshot.ts';
import { goTimeNs } from './go-time.ts';
import { arrayOf, countOf, idOf, type JsonObject, malformed, objectOf, parseObject, textOf } from './malformed.ts';

/** Field of the model → field of the file, in the order restic writes them. */
const summaryFields = {
  backupStart: 'backup_start',
  backupEnd: 'backup_end',
  filesNew: 'files_new',
  filesChanged: 'files_changed',
  filesUnmodified: 'files_unmodified',
  dirsNew: 'dirs_new',
  dirsChanged: 'dirs_changed',
  dirsUnmodified: 'dirs_unmodified',
  dataBlobs: 'data_blobs',
  treeBlobs: 'tree_blobs',
  dataAdded: 'data_added',
  dataAddedPacked: 'data_added_packed',
  totalFilesProcessed: 'total_files_processed',
  totalBytesProcessed: 'total_bytes_processed',
} as const satisfies Record<keyof SnapshotSummary, string>;

export function encodeSnapshot(snapshot: Snapshot): Uint8Array {
  const { summary } = snapshot;
  const json = {
    time: snapshot.time,
    parent: snapshot.parent,
    tree: snapshot.tree,
    paths: snapshot.paths,
    hostname: snapshot.hostname || undefined,
    username: snapshot.username || undefined,
    uid: snapshot.uid || undefined,
    gid: snapshot.gid || undefined,
    excludes: snapshot.excludes?.length ? snapshot.excludes : undefined,
    tags: snapshot.tags?.length ? snapshot.tags : undefined,
    original: snapshot.original,
    program_version: snapshot.programVersion || undefined,
    summary: summary && encodeSummary(summary),
  };
  return Buffer.from(JSON.stringify(json));
}

function encodeSummary(summary: SnapshotSummary): JsonObject {
  const json: JsonObject = {};
  for (const [field, name] of Object.entries(summaryFields)) json[name] = summary[field as keyof SnapshotSummary];
  return json;
}

export function decodeSnapshot(bytes: Uint8Array): Snapshot {
  const json = parseObject(bytes, 'a snapshot');
  const time = textOf(json.time, 'a snapshot’s time');
  goTimeNs(time, 'a snapshot’s time');
  return {
    time,
    tree: idOf(json.tree, 'a snapshot’s tree'),
    paths: texts(json.paths, 'a snapshot’s paths') ?? [],
    ...optional('parent', json.parent, idOf),
    ...optional('hostname', json.hostname, textOf),
    ...optional('username', json.username, textOf),
    ...optional('uid', json.uid, count),
    ...optional('gid', json.gid, count),
    ...optional('excludes', json.excludes, texts),
    ...optional('tags', json.tags, texts),
    ...optional('original', json.original, idOf),
    ...optional('programVersion', json.program_version, textOf),
    ...optional('summary', json.summary, decodeSummary),
  };
}

/** Milliseconds since the epoch. */
export function snapshotTimeMs(snapshot: Snapshot): number {
  return Number(goTimeNs(snapshot.time, 'a snapshot’s time') / 1_000_000n);
}

function optional<K extends string, T>(
  name: K,
  value: unknown,
  decode: (value: unknown, what: string) => T,
): Partial<Record<K, T>> {
  if (value === undefined || value === null) return {};
  return { [name]: decode(value, `a snapshot’s ${name}`) } as Partial<Record<K, T>>;
}

function count(value: unknown, what: string): number {
  return countOf(value, what);
}

function texts(value: unknown, what: string): string[] {
  if (value === undefined || value === null) return [];
  return arrayOf(value, what).map((one) => textOf(one, what));
}

function decodeSummary(value: unknown, what: string): SnapshotSummary {
  const json = objectOf(value, what);
  const summary: JsonObject = {};
  for (const [field, name] of Object.entries(summaryFields)) {
    const one = json[name];
    if (one === undefined) continue;
    const isTime = field === 'backupStart' || field === 'backupEnd';
    if (typeof one !== (isTime ? 'string' : 'number')) throw malformed(what, `${name} is not what it should be`);
    summary[field] = one;
  }
  return summary as SnapshotSummary;
}
