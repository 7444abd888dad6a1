/** One consistent state of a source, as stored: restic's snapshot object plus what Holdfast says through its tags. */
import type { OtherField } from './node.ts';

export interface SnapshotSummary {
  readonly backupStart?: string;
  readonly backupEnd?: string;
  readonly filesNew?: number;
  readonly filesChanged?: number;
  readonly filesUnmodified?: number;
  readonly dirsNew?: number;
  readonly dirsChanged?: number;
  readonly dirsUnmodified?: number;
  readonly dataBlobs?: number;
  readonly treeBlobs?: number;
  /** Bytes newly stored, before and after compression and sealing. */
  readonly dataAdded?: number;
  readonly dataAddedPacked?: number;
  readonly totalFilesProcessed?: number;
  readonly totalBytesProcessed?: number;
  readonly otherFields?: readonly OtherField[];
}

export interface Snapshot {
  /** RFC 3339 with nanoseconds and zone, as restic writes it. */
  readonly time: string;
  /** Hex id of the root tree. */
  readonly tree: string;
  readonly paths: readonly string[];
  readonly hostname?: string;
  readonly username?: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly excludes?: readonly string[];
  readonly tags?: readonly string[];
  readonly parent?: string;
  /** The snapshot this one was rewritten from (restic tag, rewrite). */
  readonly original?: string;
  readonly programVersion?: string;
  readonly summary?: SnapshotSummary;
  /** Fields of newer programs. */
  readonly otherFields?: readonly OtherField[];
}

/** A snapshot with its id (64 hex digits) and its moment parsed. */
export interface StoredSnapshot extends Snapshot {
  readonly id: string;
  readonly timeMs: number;
}

/** Tags of every snapshot Holdfast makes: `holdfast`, `source:<name>`, `driver:<name>`, `run:<id>`. */
export const holdfastTag = 'holdfast';

export function snapshotTags(facts: { source: string; driver: string; run: string }): string[] {
  return [holdfastTag, `source:${facts.source}`, `driver:${facts.driver}`, `run:${facts.run}`];
}

function tagValue(snapshot: Snapshot, key: string): string | undefined {
  return snapshot.tags?.find((tag) => tag.startsWith(`${key}:`))?.slice(key.length + 1);
}

/** The source a snapshot belongs to; `undefined` for snapshots other programs made. */
export function sourceOf(snapshot: Snapshot): string | undefined {
  return tagValue(snapshot, 'source');
}

export function driverOf(snapshot: Snapshot): string | undefined {
  return tagValue(snapshot, 'driver');
}

/** The run that made it, as the catalogue of whoever made it calls it. */
export function runOf(snapshot: Snapshot): string | undefined {
  return tagValue(snapshot, 'run');
}

/** Marks a snapshot of Holdfast's own state: the configuration that a repository was filled by. It belongs to no source. */
export const stateTag = 'holdfast-state';

export function isState(snapshot: Snapshot): boolean {
  return snapshot.tags?.includes(stateTag) === true;
}

/** Marks a snapshot that a repair wrote instead of a damaged one (its `original`): what could not be saved is missing in it. restic's word. */
export const repairedTag = 'repaired';

/** The folder inside a snapshot that holds fingerprint, tool versions and runbook facts. */
export const factsFolder = '.holdfast';
