/**
 * What a repository holds and what it costs. Reads the index, lists every folder, and reads every tree once. Memory: the
 * inventory (about 60 bytes a blob), see `TreeWalk`; one entry a snapshot.
 */
import type { Report } from '../../model/run.ts';
import type { StoredSnapshot } from '../../model/snapshot.ts';
import type { BlobIndex } from '../blob-index/blob-index.ts';
import { errorOf, type RepositoryFault } from '../check/fault.ts';
import { configName, folderName, packsFolder } from '../layout.ts';
import { lockForReading } from '../locking/read-lock.ts';
import { listSnapshots } from '../records/snapshots.ts';
import type { Repository } from '../repository.ts';
import { type WorkerPool, workerPoolFor } from '../worker/pool.ts';
import { takeInventory } from './inventory.ts';
import { restoreSizeOf } from './restore-size.ts';
import { TreeWalk } from './walk-trees.ts';

export interface FileFigures {
  readonly files: number;
  readonly bytes: number;
}

export interface SnapshotFigures {
  readonly snapshot: StoredSnapshot;
  /** Bytes of all files when restored. */
  readonly restoreBytes: number;
  /** Stored bytes of blobs that this snapshot, and none older than it, needs. */
  readonly addedBytes: number;
  /** Their plaintext. */
  readonly addedPlainBytes: number;
}

export interface RepositoryStats {
  /** By folder as stored; `config` is the one file. */
  readonly stored: Readonly<
    Record<'config' | 'keys' | 'locks' | 'snapshots' | 'index' | 'data' | 'holdfast', FileFigures>
  >;
  readonly storedBytes: number;
  readonly blobs: { readonly data: number; readonly tree: number };
  /** Plaintext of all blobs, and their sealed bytes. */
  readonly plainBytes: number;
  readonly sealedBytes: number;
  /** Of blobs that no snapshot needs. */
  readonly unusedBytes: number;
  /** Oldest first. */
  readonly snapshots: readonly SnapshotFigures[];
  readonly restoreBytes: number;
  /** Bytes all snapshots restore to, per byte of plaintext they need; 1 without snapshots. */
  readonly deduplication: number;
  /** Plaintext bytes per sealed byte; 1 without blobs. */
  readonly compression: number;
  /** Bytes of index files per 10¹² bytes of plaintext. */
  readonly indexBytesPerTB: number;
}

/** Takes the figures under a shared lock. `repository.damaged` for the first tree or index file that cannot be read. */
export async function repositoryStats(
  repository: Repository,
  report: Report,
  signal?: AbortSignal,
): Promise<RepositoryStats> {
  await using lock = await lockForReading(repository, report, { signal });
  await using pool = workerPoolFor(repository);
  const held = lock?.signal ?? signal;
  const stored = await storedFiles(repository, held);
  const faults: RepositoryFault[] = [];
  const snapshots = await listSnapshots(repository, held);
  const { index } = await takeInventory(repository, (fault) => faults.push(fault), held);
  const figures = await snapshotFigures({ repository, index, pool, faults, signal: held }, snapshots);
  const blobs = blobFigures(index);
  const restoreBytes = sum(figures, (one) => one.restoreBytes);
  const neededPlain = sum(figures, (one) => one.addedPlainBytes);
  return {
    stored,
    storedBytes: sum(Object.values(stored), (one) => one.bytes),
    blobs: { data: blobs.data, tree: blobs.tree },
    plainBytes: blobs.plainBytes,
    sealedBytes: blobs.sealedBytes,
    unusedBytes: blobs.sealedBytes - sum(figures, (one) => one.addedBytes),
    snapshots: figures,
    restoreBytes,
    deduplication: ratio(restoreBytes, neededPlain),
    compression: ratio(blobs.plainBytes, blobs.sealedBytes),
    indexBytesPerTB: blobs.plainBytes === 0 ? 0 : (stored.index.bytes / blobs.plainBytes) * 1e12,
  };
}

interface Parts {
  readonly repository: Repository;
  readonly index: BlobIndex;
  readonly pool: WorkerPool;
  readonly faults: RepositoryFault[];
  readonly signal: AbortSignal | undefined;
}

/** Each snapshot is charged with what the older ones do not need already. */
async function snapshotFigures(parts: Parts, snapshots: readonly StoredSnapshot[]): Promise<SnapshotFigures[]> {
  const walk = new TreeWalk({ ...parts, report: (fault) => parts.faults.push(fault) });
  const figures: SnapshotFigures[] = [];
  for (const snapshot of snapshots) {
    const before = { stored: walk.storedBytes, plain: walk.plainBytes };
    await walk.reach([snapshot.tree]);
    const fault = parts.faults.find(({ kind }) => kind !== 'size-differs' && kind !== 'index-wrong');
    if (fault) throw errorOf(fault);
    figures.push({
      snapshot,
      restoreBytes: snapshot.summary?.totalBytesProcessed ?? (await restoreSizeOf(parts, snapshot.tree)),
      addedBytes: walk.storedBytes - before.stored,
      addedPlainBytes: walk.plainBytes - before.plain,
    });
  }
  return figures;
}

function blobFigures(index: BlobIndex) {
  const figures = { data: 0, tree: 0, plainBytes: 0, sealedBytes: 0 };
  for (let entry = 0; entry < index.size; entry++) {
    figures[index.type(entry)]++;
    figures.plainBytes += index.plainLength(entry);
    figures.sealedBytes += index.storedLength(entry);
  }
  return figures;
}

async function storedFiles(repository: Repository, signal?: AbortSignal): Promise<RepositoryStats['stored']> {
  const folder = async (name: string): Promise<FileFigures> => {
    let files = 0;
    let bytes = 0;
    for await (const object of repository.storage.list(name, signal)) {
      files++;
      bytes += object.sizeBytes;
    }
    return { files, bytes };
  };
  const config = await repository.storage.stat(configName, signal);
  return {
    config: { files: config ? 1 : 0, bytes: config?.sizeBytes ?? 0 },
    keys: await folder(folderName('keys')),
    locks: await folder(folderName('locks')),
    snapshots: await folder(folderName('snapshots')),
    index: await folder(folderName('index')),
    data: await folder(packsFolder),
    holdfast: await folder('holdfast'),
  };
}

function ratio(a: number, b: number): number {
  return b === 0 ? 1 : a / b;
}

function sum<T>(items: Iterable<T>, bytes: (item: T) => number): number {
  let total = 0;
  for (const item of items) total += bytes(item);
  return total;
}
