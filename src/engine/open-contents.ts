/** Opens a snapshot for reading: lock, index, workers. Disposing ends the workers and releases the lock. */
import type { Host } from '../hosts/host.ts';
import type { Report } from '../model/run.ts';
import type { StoredSnapshot } from '../model/snapshot.ts';
import { loadIndex, lockForReading, type Repository, workerPoolFor } from '../repository/index.ts';
import { ProgressMeter } from './progress.ts';
import { RepositoryContents } from './snapshot-contents.ts';

export interface OpenContentsRequest {
  readonly repository: Repository;
  readonly snapshot: StoredSnapshot;
  readonly host: Host;
  readonly report: Report;
  readonly signal: AbortSignal;
  /** For the progress bar. */
  readonly stage?: string;
}

export interface HeldContents extends AsyncDisposable {
  readonly contents: RepositoryContents;
}

/** A shared lock keeps prune away meanwhile. From a repository that cannot be written (a read-only disk) reading goes on without one. */
export async function openContents(request: OpenContentsRequest): Promise<HeldContents> {
  const { repository, snapshot, host, report } = request;
  const pool = workerPoolFor(repository);
  // Across a network the lock takes half a second, in which the workers can get ready.
  if (repository.storage.parallelPuts !== undefined) pool.warm(2);
  const lock = await lockForReading(repository, report, request.signal).catch(async (error: unknown) => {
    await pool.close();
    throw error;
  });
  const signal = lock?.signal ?? request.signal;
  const dispose = async (): Promise<void> => {
    await pool.close();
    await lock?.[Symbol.asyncDispose]();
  };
  try {
    const index = await loadIndex(repository, signal);
    const meter = new ProgressMeter(
      report,
      repository.clock,
      request.stage ?? 'restore',
      snapshot.summary?.totalBytesProcessed,
    );
    const contents = new RepositoryContents({ repository, index, pool, snapshot, host, meter, signal });
    return { contents, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}
