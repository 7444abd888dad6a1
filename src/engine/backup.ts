/** One backup: source → driver → repository. The snapshot is written last, when every byte of it is durable. */
import { type Clock, formatLocalInstant } from '../base/clock.ts';
import { currentUser } from '../base/current-user.ts';
import { throwIfCancelled } from '../base/errors.ts';
import { programVersion } from '../base/version.ts';
import type { AnyDriver, Capture, SourceContext } from '../drivers/driver.ts';
import type { Report } from '../model/run.ts';
import {
  isState,
  type Snapshot,
  type SnapshotSummary,
  type StoredSnapshot,
  snapshotTags,
  sourceOf,
} from '../model/snapshot.ts';
import {
  adoptPacks,
  BlobSaver,
  type Compression,
  listSnapshots,
  lockRepository,
  type Repository,
  saveSnapshot,
} from '../repository/index.ts';
import { type ArchiveCounts, Archiver } from './archiver.ts';
import { ProgressMeter } from './progress.ts';

export interface BackupRequest {
  readonly repository: Repository;
  readonly driver: AnyDriver;
  readonly source: SourceContext<unknown>;
  /** Names this run in the snapshot's tags. */
  readonly runId: string;
  readonly compression?: Compression;
  /** How long to wait for an exclusive lock of somebody else. */
  readonly lockWaitMs?: number;
  /** Read every file again, whatever its attributes say. */
  readonly force?: boolean;
  readonly window?: CaptureWindow;
}

/** What has to happen around the capture: the source's services stand still in it, so it is as short as it can be. */
export interface CaptureWindow {
  /** Rejects if nothing may be captured. */
  begin(signal: AbortSignal): Promise<void>;
  /** Called once every byte was read, or as soon as that failed. Does not reject. */
  end(): Promise<void>;
}

export interface BackupResult {
  readonly snapshot: StoredSnapshot;
  readonly summary: SnapshotSummary;
  /** Files and directories that are not in the snapshot although they should be. */
  readonly unreadable: readonly { readonly path: string; readonly message: string }[];
  readonly changedWhileRead: readonly string[];
  /** What the driver wants a person to know. */
  readonly notes: readonly string[];
  readonly durationMs: number;
}

/** Backs up one source into one repository. Nothing is visible of it unless it ended well. */
export async function backup(request: BackupRequest): Promise<BackupResult> {
  const { repository, source } = request;
  const { clock, report } = source;
  const startedMs = clock.monotonicMs();
  const startedAtMs = clock.nowMs();
  report({ type: 'stage', stage: 'lock', subject: source.name });
  await using lock = await lockRepository(repository, {
    exclusive: false,
    waitMs: request.lockWaitMs ?? 0,
    signal: source.signal,
  });
  const locked = { ...request, source: { ...source, signal: lock.signal } };
  await adoptLeftovers(repository, report, lock.signal);
  await using saver = await BlobSaver.open(repository, { compression: request.compression, signal: lock.signal });
  const stored = await storeInWindow(locked, saver);
  await saver.finish();
  const summary = summarise(stored.counts, saver, { startedAtMs, clock });
  const snapshot: Snapshot = {
    time: formatLocalInstant(startedAtMs),
    ...(stored.parent ? { parent: stored.parent.id } : {}),
    tree: stored.tree,
    paths: stored.paths,
    hostname: source.host.hostname,
    ...currentUser(),
    ...(stored.excludes?.length ? { excludes: stored.excludes } : {}),
    tags: snapshotTags({ source: source.name, driver: request.driver.name, run: request.runId }),
    programVersion: `holdfast ${programVersion}`,
    summary,
  };
  throwIfCancelled(lock.signal);
  const id = await saveSnapshot(repository, snapshot);
  return {
    snapshot: { ...snapshot, id, timeMs: startedAtMs },
    summary,
    unreadable: stored.counts.unreadable,
    changedWhileRead: stored.counts.changedWhileRead,
    notes: stored.notes,
    durationMs: clock.monotonicMs() - startedMs,
  };
}

async function adoptLeftovers(repository: Repository, report: Report, signal: AbortSignal): Promise<void> {
  const adopted = await adoptPacks(repository, signal);
  if (adopted.packs > 0) {
    report({
      type: 'note',
      message: `${adopted.packs} pack(s) of an interrupted run were found and taken over: their data is not stored again`,
    });
  }
  for (const pack of adopted.unreadable) {
    report({
      type: 'warning',
      code: 'repository.damaged',
      message: `pack ${pack.slice(0, 16)} belongs to no index and is incomplete; holdfast repo prune removes it`,
    });
  }
}

interface StoredSource {
  readonly tree: string;
  readonly paths: readonly string[];
  readonly excludes?: readonly string[];
  readonly parent?: StoredSnapshot;
  readonly counts: ArchiveCounts;
  readonly notes: readonly string[];
}

/** Locks are taken before it, the last packs are uploaded after it. */
async function storeInWindow(request: BackupRequest, saver: BlobSaver): Promise<StoredSource> {
  const { window, source } = request;
  try {
    await window?.begin(source.signal);
    return await storeSource(request, saver);
  } finally {
    await window?.end();
  }
}

/** Captures the source, stores all of it, and lets go of it before the last packs are uploaded. */
async function storeSource(request: BackupRequest, saver: BlobSaver): Promise<StoredSource> {
  const { source, driver, repository } = request;
  source.report({ type: 'stage', stage: 'capture', subject: source.name });
  await using capture = await driver.capture(source);
  const parent = request.force ? undefined : await findParent(repository, source, capture);
  source.report({ type: 'stage', stage: 'store', subject: source.name });
  const meter = new ProgressMeter(source.report, source.clock, 'store', capture.bytesTotal);
  const archiver = new Archiver(saver, meter);
  const tree = await archiver.archive(capture.root, parent);
  await capture.complete();
  meter.emit();
  return {
    tree,
    paths: capture.paths,
    excludes: capture.excludes,
    parent,
    counts: archiver.counts,
    notes: capture.notes(),
  };
}

/** The newest snapshot of the same source, else of the same paths on the same host, whoever made it. */
async function findParent(
  repository: Repository,
  source: SourceContext<unknown>,
  capture: Capture,
): Promise<StoredSnapshot | undefined> {
  const paths = JSON.stringify(capture.paths.toSorted());
  const snapshots = (await listSnapshots(repository, source.signal)).filter((one) => !isState(one));
  return (
    snapshots.findLast((one) => sourceOf(one) === source.name) ??
    snapshots.findLast((one) => one.hostname === source.host.hostname && JSON.stringify(one.paths.toSorted()) === paths)
  );
}

function summarise(
  counts: ArchiveCounts,
  saver: BlobSaver,
  { startedAtMs, clock }: { startedAtMs: number; clock: Clock },
): SnapshotSummary {
  return {
    backupStart: formatLocalInstant(startedAtMs),
    backupEnd: formatLocalInstant(clock.nowMs()),
    filesNew: counts.filesNew,
    filesChanged: counts.filesChanged,
    filesUnmodified: counts.filesUnmodified,
    dirsNew: counts.dirsNew,
    dirsChanged: counts.dirsChanged,
    dirsUnmodified: counts.dirsUnmodified,
    dataBlobs: saver.stats.dataBlobs,
    treeBlobs: saver.stats.treeBlobs,
    dataAdded: saver.stats.addedBytes,
    dataAddedPacked: saver.stats.storedBytes,
    totalFilesProcessed: counts.files,
    totalBytesProcessed: counts.bytes,
  };
}
