/** Opens a snapshot for reading: lock, index, workers. Disposing ends the workers and releases the lock. */
import { cancelled } from '../base/errors.ts';
import type { Host } from '../hosts/host.ts';
import type { Report } from '../model/run.ts';
import type { StoredSnapshot } from '../model/snapshot.ts';
import {
  type BlobIndex,
  type HeldLock,
  loadIndex,
  lockForReading,
  type Repository,
  type WorkerPool,
  workerPoolFor,
} from '../repository/index.ts';
import { ProgressMeter } from './progress.ts';
import { RepositoryContents } from './snapshot-contents.ts';

interface ReadingRequest {
  readonly repository: Repository;
  readonly report: Report;
  readonly signal: AbortSignal;
  /** One that has begun; it is disposed of with the contents. */
  readonly reading?: Reading;
}

export interface OpenContentsRequest extends ReadingRequest {
  readonly snapshot: StoredSnapshot;
  readonly host: Host;
  /** For the progress bar. */
  readonly stage?: string;
}

export interface HeldContents extends AsyncDisposable {
  readonly contents: RepositoryContents;
}

/** What reading needs, whichever snapshot it is of: a lock, the index, workers. Disposing lets go of all. */
export interface Reading extends AsyncDisposable {
  readonly pool: WorkerPool;
  readonly ready: Promise<ReadyReading>;
}

interface ReadyReading {
  readonly lock: HeldLock | undefined;
  readonly index: BlobIndex;
}

/** Begins at once, so that it can be told meanwhile which snapshot is meant. A failure comes with `ready`. */
export function beginReading({ repository, report, signal }: Omit<ReadingRequest, 'reading'>): Reading {
  const pool = workerPoolFor(repository);
  // Across a network the lock takes half a second, in which the workers can get ready.
  if (repository.storage.parallelPuts !== undefined) pool.warm(2);
  const stopped = new AbortController();
  const unlessStopped = AbortSignal.any([signal, stopped.signal]);
  const locking = lockForReading(repository, report, { signal: unlessStopped, early: true });
  const ready = locking.then(async (lock) => ({ lock, index: await loadIndex(repository, lock?.signal ?? signal) }));
  let isReady = false;
  ready.then(
    () => {
      isReady = true;
    },
    () => undefined, // told when it is waited for
  );
  const dispose = async (): Promise<void> => {
    // Who asked for a snapshot that is not there need not wait for the index.
    if (!isReady) stopped.abort(cancelled());
    await ready.catch(() => undefined);
    await pool.close();
    const lock = await locking.catch(() => undefined);
    await lock?.[Symbol.asyncDispose]();
  };
  return { pool, ready, [Symbol.asyncDispose]: dispose };
}

/** A shared lock keeps prune away meanwhile. From a repository that cannot be written (a read-only disk) reading goes on without one. */
export async function openContents(request: OpenContentsRequest): Promise<HeldContents> {
  const { repository, snapshot, host, report } = request;
  const reading = request.reading ?? beginReading(request);
  try {
    const { lock, index } = await reading.ready;
    const signal = lock?.signal ?? request.signal;
    const meter = new ProgressMeter(
      report,
      repository.clock,
      request.stage ?? 'restore',
      snapshot.summary?.totalBytesProcessed,
    );
    const contents = new RepositoryContents({ repository, index, pool: reading.pool, snapshot, host, meter, signal });
    // What is read first comes while the lock is being confirmed. What is wrong with it is told to whoever asks for it.
    const first = contents.children('/').catch(() => undefined);
    await lock?.confirmed.finally(() => first);
    return { contents, [Symbol.asyncDispose]: () => reading[Symbol.asyncDispose]() };
  } catch (error) {
    await reading[Symbol.asyncDispose]();
    throw error;
  }
}
