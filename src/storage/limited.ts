/**
 * Holds a storage to limits: bytes a second up and down, by the time of day, and transfers at once. What a storage moves in
 * pieces is paced piece by piece (`base/pace.ts`); what it moves in one go counts when it is through, and the next waits.
 */
import type { Clock } from '../base/clock.ts';
import { Semaphore } from '../base/concurrency.ts';
import { atPace } from '../base/pace.ts';
import { type RateTable, rateAt } from '../base/rate-table.ts';
import { TokenBucket } from '../base/token-bucket.ts';
import type { Storage } from './storage.ts';

export interface StorageLimits {
  readonly upload?: RateTable;
  readonly download?: RateTable;
  /** Transfers at once. */
  readonly concurrency?: number;
}

type Transfer = <T>(task: () => Promise<T>, sizeOf: (result: T) => number, signal?: AbortSignal) => Promise<T>;

/** `inner` itself if there are no limits. */
export function limitedStorage(inner: Storage, limits: StorageLimits, clock: Clock): Storage {
  const { upload, download, concurrency } = limits;
  if (!upload && !download && concurrency === undefined) return inner;
  const permits = concurrency === undefined ? undefined : new Semaphore(concurrency);
  const inTurn = async <T>(task: () => Promise<T>): Promise<T> => {
    await permits?.acquire();
    try {
      return await task();
    } finally {
      permits?.release();
    }
  };
  const up = transfer(upload, clock);
  const down = transfer(download, clock);
  return {
    location: inner.location,
    ...(inner.parallelPuts === undefined ? {} : { parallelPuts: inner.parallelPuts }),
    ...(inner.history ? { history: inner.history } : {}),
    ...(inner.retention ? { retention: inner.retention } : {}),
    put: (name, parts, options) => {
      const put = (): Promise<void> => inner.put(name, parts, options);
      // A lock that has to wait for slow uploads would be taken for stale.
      if (options?.passing) return put();
      return inTurn(() => up(put, () => sizeOf(parts), options?.signal));
    },
    get: (name, range, signal) =>
      inTurn(() =>
        down(
          () => inner.get(name, range, signal),
          (got) => got.byteLength,
          signal,
        ),
      ),
    getInto: (name, offset, into, signal) =>
      inTurn(() =>
        down(
          () => inner.getInto(name, offset, into, signal),
          () => into.byteLength,
          signal,
        ),
      ),
    stat: (name, signal) => inner.stat(name, signal),
    list: (folder, signal) => inner.list(folder, signal),
    delete: (name, signal) => inner.delete(name, signal),
    ...(inner.removeFolders ? { removeFolders: inner.removeFolders.bind(inner) } : {}),
    ...(inner.requirePlace ? { requirePlace: inner.requirePlace.bind(inner) } : {}),
    close: () => inner.close(),
  };
}

function transfer(table: RateTable | undefined, clock: Clock): Transfer {
  if (!table) return (task) => task();
  const bucket = new TokenBucket(clock, () => rateAt(table, clock.nowMs()));
  return async (task, sizeOf, signal) => {
    let paced = 0;
    // A call that begins while others are paid off waits, also where its storage does not ask.
    await bucket.take(0, signal);
    const result = await atPace(async (bytes) => {
      paced += bytes;
      await bucket.take(bytes, signal);
    }, task);
    const rest = sizeOf(result) - paced;
    if (rest > 0) await bucket.take(rest, signal);
    return result;
  };
}

function sizeOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.byteLength, 0);
}
