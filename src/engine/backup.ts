/** One backup: source → driver → repository. The snapshot is written last, when every byte of it is durable. */
import { type Clock, formatLocalInstant } from '../base/clock.ts';
import { currentUser } from '../base/current-user.ts';
import { cancelled, type HoldfastError, hasCode, reasonOf, throwIfCancelled } from '../base/errors.ts';
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
  type HeldLock,
  listSnapshots,
  loadIndex,
  lockRepository,
  type Repository,
  type SavedState,
  type StateBeside,
  type StateRecord,
  saveSnapshot,
  stateBeside,
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
  /** The state of whoever stores, kept in the same repository by the way. `undefined`: there is none. */
  readonly state?: () => Promise<StateRecord | undefined>;
}

/** What has to happen around the capture: the source's services stand still in it, so it is as short as it can be. */
export interface CaptureWindow {
  /** Rejects if nothing may be captured. */
  begin(signal: AbortSignal): Promise<void>;
  /**
   * Called once every byte was read, or as soon as that failed. Does not reject. Gives why what was read may not be one state:
   * then no snapshot is made of it.
   */
  end(): Promise<HoldfastError | undefined>;
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
  /** Of the state, if there is one. A failure to seal it fails the backup, whose packs it shares; any other one is told here only. */
  readonly state?: SavedState | { readonly error: unknown };
}

/** Backs up one source into one repository. Nothing is visible of it unless it ended well. */
export async function backup(request: BackupRequest): Promise<BackupResult> {
  const { repository, source } = request;
  const { clock } = source;
  const begun: Begun = { atMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
  source.report({ type: 'stage', stage: 'lock', subject: source.name });
  const ahead = readIndexAhead(repository, source.signal);
  // Services are not stopped for a lock that is not sure yet.
  const early = request.window === undefined;
  const lock = await lockFor(request, early).catch(async (error: unknown) => {
    await ahead.stop();
    throw error;
  });
  try {
    return await backupUnder(lock, request, begun);
  } catch (error) {
    // Somebody who excludes us came in the moment in which that cannot be seen yet: then it is waited for.
    const isRefused = await lock.confirmed.then(
      () => false,
      (refusal: unknown) => hasCode(refusal, 'repository.locked'),
    );
    // Cancelled for a lock that was lost is no cancelling: nobody wanted it.
    if (!isRefused) throw hasCode(error, 'cancelled') && lock.signal.aborted ? reasonOf(lock.signal) : error;
  } finally {
    await lock[Symbol.asyncDispose]();
  }
  await using sure = await lockFor(request, false);
  return await backupUnder(sure, request, begun);
}

/** What was written between the reading and the lock, `adoptPacks` sees. Its failure is told to whoever asks for the index. */
function readIndexAhead(repository: Repository, signal: AbortSignal): { readonly stop: () => Promise<void> } {
  const stopped = new AbortController();
  const reading = loadIndex(repository, AbortSignal.any([signal, stopped.signal])).then(
    () => undefined,
    () => undefined,
  );
  const stop = async (): Promise<void> => {
    stopped.abort(cancelled());
    await reading;
  };
  return { stop };
}

/** When a backup began. */
interface Begun {
  readonly atMs: number;
  readonly monotonicMs: number;
}

async function lockFor({ repository, source, lockWaitMs }: BackupRequest, early: boolean): Promise<HeldLock> {
  const { signal } = source;
  return await lockRepository(repository, { exclusive: false, early, waitMs: lockWaitMs ?? 0, signal });
}

async function backupUnder(lock: HeldLock, request: BackupRequest, begun: Begun): Promise<BackupResult> {
  const { repository, source, compression } = request;
  const { clock, report } = source;
  const startedAtMs = begun.atMs;
  const { signal, confirmed: mayWrite } = lock;
  await using saver = BlobSaver.prepare(repository, { compression, signal, mayWrite });
  const snapshots = listSnapshots(repository, signal);
  snapshots.catch(() => undefined);
  await adoptLeftovers(repository, report, lock);
  await saver.begin();
  const state = keepBeside(request, { saver, snapshots, timeMs: startedAtMs, signal });
  const locked = { ...request, source: { ...source, signal }, snapshots };
  const stored = await storeInWindow(locked, saver).finally(() => state);
  const showState = await state;
  await saver.finish();
  await mayWrite;
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
    durationMs: clock.monotonicMs() - begun.monotonicMs,
    state: await showState(),
  };
}

type ShowState = () => Promise<BackupResult['state']>;

/** Stores the state beside the source. Does not reject: what is wrong with it is told in the end. */
async function keepBeside(
  { state }: BackupRequest,
  { snapshots, ...beside }: Omit<StateBeside, 'snapshots'> & { readonly snapshots: Promise<readonly StoredSnapshot[]> },
): Promise<ShowState> {
  try {
    const record = await state?.();
    if (record === undefined) return async () => undefined;
    const show = await stateBeside(record, { ...beside, snapshots: await snapshots });
    return () => show().catch((error: unknown) => ({ error }));
  } catch (error) {
    return async () => ({ error });
  }
}

async function adoptLeftovers(repository: Repository, report: Report, lock: HeldLock): Promise<void> {
  const adopted = await adoptPacks(repository, lock.signal, lock.confirmed);
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

type LockedRequest = BackupRequest & {
  /** Those that were there when the lock was taken. */
  readonly snapshots: Promise<readonly StoredSnapshot[]>;
};

interface StoredSource {
  readonly tree: string;
  readonly paths: readonly string[];
  readonly excludes?: readonly string[];
  readonly parent?: StoredSnapshot;
  readonly counts: ArchiveCounts;
  readonly notes: readonly string[];
}

/** Locks are taken before it, the last packs are uploaded after it. */
async function storeInWindow(request: LockedRequest, saver: BlobSaver): Promise<StoredSource> {
  const { window, source } = request;
  let stored: StoredSource;
  let torn: HoldfastError | undefined;
  try {
    await window?.begin(source.signal);
    stored = await storeSource(request, saver);
  } finally {
    torn = await window?.end();
  }
  if (torn) throw torn;
  return stored;
}

/** Captures the source, stores all of it, and lets go of it before the last packs are uploaded. */
async function storeSource(request: LockedRequest, saver: BlobSaver): Promise<StoredSource> {
  const { source, driver } = request;
  source.report({ type: 'stage', stage: 'capture', subject: source.name });
  await using capture = await driver.capture(source);
  const parent = request.force ? undefined : findParent(await request.snapshots, source, capture);
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
function findParent(
  all: readonly StoredSnapshot[],
  source: SourceContext<unknown>,
  capture: Capture,
): StoredSnapshot | undefined {
  const paths = JSON.stringify(capture.paths.toSorted());
  const snapshots = all.filter((one) => !isState(one));
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
