/**
 * Rollback-journal mode: while anybody reads, writers wait, so the copy is made without a lock and then corrected. Passes:
 *   1. copy everything, unlocked
 *   2. compare everything with the copy, unlocked, until the number of changed blocks stops shrinking
 *   3. compare once more under a shared lock: now the copy is the database of that moment, byte for byte
 * The writers' pause is the time of pass 3. If change counter, size and times say nothing was written since before pass 1, the
 * lock is held for a look only.
 */
import { constants } from 'node:fs';
import { chmod, copyFile, type FileHandle, open } from 'node:fs/promises';
import { formatBytes, formatDuration } from '../../base/bytes.ts';
import type { Clock } from '../../base/clock.ts';
import { HoldfastError, hasCode, throwIfCancelled } from '../../base/errors.ts';
import { systemPath } from '../../base/names.ts';
import { databaseHeaderBytes } from '../../protocols/sqlite/database-header.ts';

export interface SpoolRequest {
  /** For messages. */
  readonly name: string;
  readonly realPath: string;
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

const blockBytes = 256 * 1024;
const lanes = 2;
const unlockedRescans = 4;
const attempts = 3;
const backoffMs = 500;
/** A time stamp younger than this may hide a second write within the same tick of the kernel's clock. */
const tickMs = 50;

/** Memory: 1 MiB. Errors: `source.busy` if writers would have to wait longer than the budget, what `lock` throws, `cancelled`. */
export async function spoolDatabase(request: SpoolRequest): Promise<Spooled> {
  await using main = await open(systemPath(request.realPath), 'r');
  const before = await locked(request, () => identify(main, request.clock));
  // In the kernel, and without copying where the file system can share blocks (xfs, btrfs).
  await copyFile(systemPath(request.realPath), request.spoolPath, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  throwIfCancelled(request.signal);
  await chmod(request.spoolPath, 0o600);
  await using spool = await open(request.spoolPath, 'r+');
  const after = await locked(request, () => identify(main, request.clock));
  const pauses = [before.pauseMs, after.pauseMs];
  if (sameIdentity(before.value, after.value)) {
    await spool.truncate(after.value.size);
    return { sizeBytes: after.value.size, pauseMs: Math.max(...pauses), passes: 1, corrected: false };
  }
  const rescans = await rescanUnlocked(request, main, spool);
  const last = await correctLocked(request, { main, spool, scanMs: rescans.scanMs });
  return {
    sizeBytes: last.sizeBytes,
    pauseMs: Math.max(...pauses, last.pauseMs),
    passes: 1 + rescans.passes + last.passes,
    corrected: true,
  };
}

interface Identity {
  readonly size: number;
  readonly header: Buffer;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly settled: boolean;
}

/** A write that was rolled back leaves the change counter as it was, but not the times. */
async function identify(main: FileHandle, clock: Clock): Promise<Identity> {
  const header = Buffer.alloc(databaseHeaderBytes);
  await main.read(header, 0, header.length, 0);
  const { size, mtimeNs, ctimeNs } = await main.stat({ bigint: true });
  const ageMs = clock.nowMs() - Math.max(Number(mtimeNs), Number(ctimeNs)) / 1e6;
  return { size: Number(size), header, mtimeNs, ctimeNs, settled: ageMs > tickMs };
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

async function rescanUnlocked(request: SpoolRequest, main: FileHandle, spool: FileHandle) {
  let changed = Number.POSITIVE_INFINITY;
  let scanMs = 0;
  for (let pass = 1; ; pass++) {
    const started = request.clock.monotonicMs();
    const found = await correct(main, spool, request.signal);
    scanMs = request.clock.monotonicMs() - started;
    if (found === 0 || found >= changed || pass === unlockedRescans) return { scanMs, passes: pass };
    changed = found;
  }
}

interface Correction {
  readonly main: FileHandle;
  readonly spool: FileHandle;
  /** What a whole scan took last. */
  readonly scanMs: number;
}

async function correctLocked(request: SpoolRequest, { main, spool, scanMs }: Correction) {
  const { budgetMs, clock } = request;
  let expectedMs = scanMs;
  for (let attempt = 1; ; attempt++) {
    if (expectedMs > budgetMs) throw tooSlow(request, expectedMs, (await main.stat()).size);
    try {
      const { value, pauseMs } = await locked(request, async () => {
        const deadline = AbortSignal.any([request.signal, deadlineAfter(clock, budgetMs)]);
        await correct(main, spool, deadline);
        const { size } = await main.stat();
        await spool.truncate(size);
        return size;
      });
      return { sizeBytes: value, pauseMs, passes: attempt };
    } catch (error) {
      const outOfTime = hasCode(error, 'cancelled') && !request.signal.aborted;
      if (!outOfTime) throw error;
      if (attempt === attempts) throw tooSlow(request, budgetMs, (await main.stat()).size);
      await clock.sleep(backoffMs * 2 ** attempt, { signal: request.signal });
      const started = clock.monotonicMs();
      await correct(main, spool, request.signal);
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

/** Makes the copy equal where it differs, and returns how many blocks differed. */
async function correct(main: FileHandle, spool: FileHandle, signal: AbortSignal): Promise<number> {
  const copies = Array.from({ length: lanes }, () => Buffer.allocUnsafe(blockBytes));
  return await eachBlock(main, signal, async (block, position, lane) => {
    const copy = copies[lane].subarray(0, block.length);
    const same = (await readFully(spool, copy, position)) === block.length && copy.equals(block);
    if (!same) await writeFully(spool, block, position);
    return !same;
  });
}

/** Reads the whole file in two lanes; counts the blocks for which `task` says yes. */
async function eachBlock(
  main: FileHandle,
  signal: AbortSignal,
  task: (block: Buffer, position: number, lane: number) => Promise<boolean>,
): Promise<number> {
  const { size } = await main.stat();
  let next = 0;
  let counted = 0;
  const walk = async (lane: number): Promise<void> => {
    const buffer = Buffer.allocUnsafe(blockBytes);
    while (next < size) {
      throwIfCancelled(signal);
      const position = next;
      next += blockBytes;
      const count = await readFully(main, buffer, position);
      if (await task(buffer.subarray(0, count), position, lane)) counted++;
    }
  };
  const outcomes = await Promise.allSettled(Array.from({ length: lanes }, (_, lane) => walk(lane)));
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  return counted;
}

async function readFully(file: FileHandle, into: Buffer, position: number): Promise<number> {
  let done = 0;
  while (done < into.length) {
    const { bytesRead } = await file.read(into, done, into.length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

async function writeFully(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
