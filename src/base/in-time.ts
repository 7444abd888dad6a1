/** A task that must not take longer than it may. */
import type { Clock } from './clock.ts';
import { type HoldfastError, hasCode } from './errors.ts';

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
