/** Bounds on how much happens, or waits, at once. */
import { reasonOf } from './errors.ts';

/** Counts permits; `acquire` waits in order of arrival. */
export class Semaphore {
  #free: number;
  readonly #waiting: { grant: () => void; refuse: (error: unknown) => void }[] = [];
  #failure: { error: unknown } | undefined;

  constructor(permits: number) {
    this.#free = permits;
  }

  /** Takes a permit; rejects with the failure's error once `fail` was called. */
  async acquire(): Promise<void> {
    if (this.#failure) throw this.#failure.error;
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    await new Promise<void>((grant, refuse) => this.#waiting.push({ grant, refuse }));
  }

  release(): void {
    const next = this.#waiting.shift();
    if (next) next.grant();
    else this.#free++;
  }

  /** Rejects everyone who waits and everyone who comes. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    for (const { refuse } of this.#waiting.splice(0)) refuse(error);
  }
}

/** Runs `task` on each item with at most `limit` at once; the first error stops new tasks and is thrown when all under way have ended. */
export async function forEachConcurrent<T>(
  items: Iterable<T> | AsyncIterable<T>,
  limit: number,
  task: (item: T) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const permits = new Semaphore(limit);
  const running = new Set<Promise<void>>();
  let failure: { error: unknown } | undefined;
  for await (const item of items) {
    await permits.acquire();
    if (signal?.aborted) failure ??= { error: reasonOf(signal) };
    if (failure) break;
    const job = task(item)
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .finally(() => {
        running.delete(job);
        permits.release();
      });
    running.add(job);
  }
  await Promise.all(running);
  if (failure) throw failure.error;
}
