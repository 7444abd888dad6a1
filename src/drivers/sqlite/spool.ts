/**
 * Rollback-journal mode: while anybody reads, writers wait, so the copy is made without a lock and then corrected. Passes:
 *   1. copy everything, unlocked
 *   2. compare everything with the copy, unlocked, until the number of changed blocks stops shrinking
 *   3. compare once more under a shared lock: now the copy is the database of that moment, byte for byte
 * The writers' pause is the time of pass 3. If change counter, size and times say nothing was written since before pass 1, the
 * lock is held for a look only.
 */
import { chmod, type FileHandle, open } from 'node:fs/promises';
import { formatBytes, formatDuration } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { HoldfastError, hasCode, throwIfCancelled } from '../../base/errors.ts';

/** The database that is copied. `Copy` is the private file that becomes equal to it. */
export interface SpoolSource {
  /** Called without a lock before `identify` is first: times that are older than this tell every later write. */
  settle?(): Promise<void>;
  identify(): Promise<Identity>;
  /** Makes the copy, a new file at `path`. */
  copyTo(path: string): Promise<void>;
  /** Makes the copy equal where it differs, and returns how many blocks differed. Stops with `cancelled` between blocks. */
  correct(copy: FileHandle, signal: AbortSignal): Promise<number>;
  sizeBytes(): Promise<number>;
}

export interface SpoolRequest {
  /** For messages. */
  readonly name: string;
  readonly main: SpoolSource;
  /** A new file. */
  readonly spoolPath: string;
  /** Takes a shared lock in another process; `unlock` lets go of it. */
  readonly lock: () => Promise<void>;
  readonly unlock: () => Promise<void>;
  readonly budgetMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export interface Spooled {
  readonly sizeBytes: number;
  /** The longest time the lock was held. */
  readonly pauseMs: number;
  /** How often the whole file was read. */
  readonly passes: number;
  /** False if the change counter proved that the first pass saw no write. */
  readonly corrected: boolean;
}

const unlockedRescans = 4;
const attempts = 3;
const backoffMs = 500;
/** Memory: 1 MiB. Errors: `source.busy` if writers would have to wait longer than the budget, what `lock` throws, `cancelled`. */
export async function spoolDatabase(request: SpoolRequest): Promise<Spooled> {
  const { main } = request;
  await main.settle?.();
  const before = await locked(request, () => main.identify());
  await main.copyTo(request.spoolPath);
  throwIfCancelled(request.signal);
  await chmod(request.spoolPath, 0o600);
  await using spool = await open(request.spoolPath, 'r+');
  const after = await locked(request, () => main.identify());
  const pauses = [before.pauseMs, after.pauseMs];
  if (sameIdentity(before.value, after.value)) {
    await spool.truncate(after.value.size);
    return { sizeBytes: after.value.size, pauseMs: Math.max(...pauses), passes: 1, corrected: false };
  }
  const rescans = await rescanUnlocked(request, spool);
  const last = await correctLocked(request, { spool, scanMs: rescans.scanMs });
  return {
    sizeBytes: last.sizeBytes,
    pauseMs: Math.max(...pauses, last.pauseMs),
    passes: 1 + rescans.passes + last.passes,
    corrected: true,
  };
}

/** What tells the database from itself after a write. A write that was rolled back leaves the change counter as it was, but not the times. */
export interface Identity {
  readonly size: number;
  readonly header: Buffer;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  /** Whether the times are older than the unit they are kept in, so that a later write changes them. */
  readonly settled: boolean;
}

function sameIdentity(before: Identity, after: Identity): boolean {
  return (
    before.settled &&
    before.size === after.size &&
    before.mtimeNs === after.mtimeNs &&
    before.ctimeNs === after.ctimeNs &&
    before.header.equals(after.header)
  );
}

async function locked<T>(request: SpoolRequest, task: () => Promise<T>): Promise<{ value: T; pauseMs: number }> {
  const { clock } = request;
  // From before the lock was asked for: from then on writers may wait for it.
  const started = clock.monotonicMs();
  await request.lock();
  try {
    const value = await task();
    return { value, pauseMs: clock.monotonicMs() - started };
  } finally {
    await request.unlock();
  }
}

async function rescanUnlocked(request: SpoolRequest, spool: FileHandle) {
  let changed = Number.POSITIVE_INFINITY;
  let scanMs = 0;
  for (let pass = 1; ; pass++) {
    const started = request.clock.monotonicMs();
    const found = await request.main.correct(spool, request.signal);
    scanMs = request.clock.monotonicMs() - started;
    if (found === 0 || found >= changed || pass === unlockedRescans) return { scanMs, passes: pass };
    changed = found;
  }
}

interface Correction {
  readonly spool: FileHandle;
  /** What a whole scan took last. */
  readonly scanMs: number;
}

async function correctLocked(request: SpoolRequest, { spool, scanMs }: Correction) {
  const { budgetMs, clock, main } = request;
  let expectedMs = scanMs;
  for (let attempt = 1; ; attempt++) {
    if (expectedMs > budgetMs) throw tooSlow(request, expectedMs, await main.sizeBytes());
    try {
      const { value, pauseMs } = await locked(request, async () => {
        const deadline = AbortSignal.any([request.signal, deadlineAfter(clock, budgetMs)]);
        await main.correct(spool, deadline);
        const size = await main.sizeBytes();
        await spool.truncate(size);
        return size;
      });
      return { sizeBytes: value, pauseMs, passes: attempt };
    } catch (error) {
      const outOfTime = hasCode(error, 'cancelled') && !request.signal.aborted;
      if (!outOfTime) throw error;
      if (attempt === attempts) throw tooSlow(request, budgetMs, await main.sizeBytes());
      await clock.sleep(backoffMs * 2 ** attempt, { signal: request.signal });
      const started = clock.monotonicMs();
      await main.correct(spool, request.signal);
      expectedMs = clock.monotonicMs() - started;
    }
  }
}

/** Aborts after a while, without a timer that outlives its use: the loops look at it between blocks. */
function deadlineAfter(clock: Clock, ms: number): AbortSignal {
  const controller = new AbortController();
  clock.sleep(ms, { background: true }).then(
    () => controller.abort(),
    () => {},
  );
  return controller.signal;
}

function tooSlow(request: SpoolRequest, pauseMs: number, sizeBytes: number): HoldfastError {
  return new HoldfastError({
    code: 'source.busy',
    message: `writers of ${request.name} (${formatBytes(sizeBytes)}, rollback journal) would have to wait about ${formatDuration(pauseMs)} for a consistent copy, more than the ${formatDuration(request.budgetMs)} allowed`,
    remedy:
      'Switch the database to WAL once with PRAGMA journal_mode=WAL (writers then never wait), or raise maxWriterPauseMs, or back up when less is written.',
    retry: 'later',
    context: { pauseMs: Math.round(pauseMs), budgetMs: request.budgetMs },
  });
}
