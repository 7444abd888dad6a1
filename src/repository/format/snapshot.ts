/** Snapshot files (restic design.rst, "Snapshots"; fields and their order as in internal/data/snapshot.go). */
import type { OtherField } from '../../model/node.ts';
import type { Snapshot, SnapshotSummary } from '../../model/snapshot.ts';
import { goJson, goString } from './go-json.ts';
import { goTimeNs, goTimeText } from './go-time.ts';
import { JsonReader } from './json-reader.ts';
import { malformed } from './malformed.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Counts = Exclude<keyof SnapshotSummary, 'backupStart' | 'backupEnd' | 'otherFields'>;

const what = 'a snapshot';

/** Counts of the summary in the order of the file. */
const countNames: readonly (readonly [string, Counts])[] = [
  ['files_new', 'filesNew'],
  ['files_changed', 'filesChanged'],
  ['files_unmodified', 'filesUnmodified'],
  ['dirs_new', 'dirsNew'],
  ['dirs_changed', 'dirsChanged'],
  ['dirs_unmodified', 'dirsUnmodified'],
  ['data_blobs', 'dataBlobs'],
  ['tree_blobs', 'treeBlobs'],
  ['data_added', 'dataAdded'],
  ['data_added_packed', 'dataAddedPacked'],
  ['total_files_processed', 'totalFilesProcessed'],
  ['total_bytes_processed', 'totalBytesProcessed'],
];
const countFields: ReadonlyMap<string, Counts> = new Map(countNames);

/** Fields that the model does not have, such as the id of a stored snapshot, are not written. */
export function encodeSnapshot(snapshot: Snapshot): Uint8Array {
  const { summary } = snapshot;
  const json = goJson({
    time: goTimeText(snapshot.time),
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
  });
  const last = summary ? [{ name: 'summary', json: summaryJson(summary) }] : [];
  return Buffer.from(withFields(json, [...last, ...(snapshot.otherFields ?? [])]));
}

function summaryJson(summary: SnapshotSummary): string {
  const json = goJson({
    backup_start: summary.backupStart && goTimeText(summary.backupStart),
    backup_end: summary.backupEnd && goTimeText(summary.backupEnd),
    ...Object.fromEntries(countNames.map(([name, field]) => [name, summary[field]])),
  });
  return withFields(json, summary.otherFields ?? []);
}

/** A JSON object with further fields at its end. */
function withFields(json: string, fields: readonly OtherField[]): string {
  const further = fields.map((field) => `${goString(field.name)}:${field.json}`);
  const own = json.slice(1, -1);
  return `{${own === '' ? further.join(',') : [own, ...further].join(',')}}`;
}

/** `repository.damaged` if it is not a snapshot. Fields this program does not know are kept. */
export function decodeSnapshot(bytes: Uint8Array): Snapshot {
  const snapshot: Mutable<Snapshot> = { time: '', tree: '', paths: [] };
  const otherFields: OtherField[] = [];
  const reader = new JsonReader(bytes, what);
  reader.object((name) => {
    const read = fields.get(name);
    if (read) read(snapshot, reader);
    else otherFields.push({ name, json: reader.other() });
  });
  reader.end();
  if (otherFields.length > 0) snapshot.otherFields = otherFields;
  goTimeNs(snapshot.time, what);
  if (snapshot.tree === '') throw malformed(what, 'it names no tree');
  return snapshot;
}

/** Milliseconds since the epoch. */
export function snapshotTimeMs(snapshot: Snapshot): number {
  return Number(goTimeNs(snapshot.time, what) / 1_000_000n);
}

const fields = new Map<string, (snapshot: Mutable<Snapshot>, reader: JsonReader) => unknown>([
  ['time', (snapshot, reader) => (snapshot.time = reader.text())],
  ['parent', (snapshot, reader) => (snapshot.parent = reader.id())],
  ['tree', (snapshot, reader) => (snapshot.tree = reader.id())],
  ['paths', (snapshot, reader) => (snapshot.paths = texts(reader))],
  ['hostname', (snapshot, reader) => (snapshot.hostname = reader.text())],
  ['username', (snapshot, reader) => (snapshot.username = reader.text())],
  ['uid', (snapshot, reader) => (snapshot.uid = reader.count())],
  ['gid', (snapshot, reader) => (snapshot.gid = reader.count())],
  ['excludes', (snapshot, reader) => (snapshot.excludes = texts(reader))],
  ['tags', (snapshot, reader) => (snapshot.tags = texts(reader))],
  ['original', (snapshot, reader) => (snapshot.original = reader.id())],
  ['program_version', (snapshot, reader) => (snapshot.programVersion = reader.text())],
  ['summary', (snapshot, reader) => (snapshot.summary = readSummary(reader))],
]);

function texts(reader: JsonReader): string[] {
  const list: string[] = [];
  reader.list(() => list.push(reader.text()));
  return list;
}

function readSummary(reader: JsonReader): SnapshotSummary {
  const summary: Mutable<SnapshotSummary> = {};
  const otherFields: OtherField[] = [];
  reader.object((name) => {
    const count = countFields.get(name);
    if (count) summary[count] = reader.count();
    else if (name === 'backup_start') summary.backupStart = timeText(reader);
    else if (name === 'backup_end') summary.backupEnd = timeText(reader);
    else otherFields.push({ name, json: reader.other() });
  });
  if (otherFields.length > 0) summary.otherFields = otherFields;
  return summary;
}

function timeText(reader: JsonReader): string {
  const text = reader.text();
  goTimeNs(text, what);
  return text;
}
