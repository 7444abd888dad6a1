/** A task that must not take longer than it may. */
import type { Clock } from './clock.ts';
import { type HoldfastError, hasCode, reasonOf } from './errors.ts';

export interface Limits {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Absent where a step must not be cut short by cancelling. */
  readonly signal?: AbortSignal;
}

/** The task with a signal that is aborted when its time is over; rejects with `late` then, even if the task does not heed it. */
export async function inTime<T>(
  { clock, timeoutMs, signal }: Limits,
  late: HoldfastError,
  task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const done = new AbortController();
  const both = signal ? AbortSignal.any([over.signal, signal]) : over.signal;
  const timer = clock.sleep(timeoutMs, { signal: done.signal }).then(
    () => {
      over.abort(late);
      throw late;
    },
    () => new Promise<never>(() => {}), // the task ended first
  );
  try {
    return await Promise.race([task(both), timer]);
  } catch (error) {
    throw hasCode(error, 'cancelled') && over.signal.aborted ? late : error;
  } finally {
    done.abort('done');
  }
}

/** The task, or the reason of the signal as soon as it is aborted, even if the task does not heed it. */
export async function untilAborted<T>(signal: AbortSignal, task: () => Promise<T>): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(reasonOf(signal));
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await Promise.race([aborted, task()]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
