/** Programs around a backup: they have to end well, and in time. */
import type { Clock } from '../../base/clock.ts';
import { HoldfastError, hasCode, throwIfCancelled } from '../../base/errors.ts';
import type { Host } from '../../hosts/host.ts';

const toldCharacters = 600;
/** What of a program's output is kept, in bytes. */
const keptBytes = 64 << 10;

export interface Limits {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Absent where a step must not be cut short by cancelling: what was stopped has to be started. */
  readonly signal?: AbortSignal;
}

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  /** How it ended and the end of its stderr, in words. */
  readonly words: string;
}

/** Runs a program to its end. `host.command-failed` if it takes longer than it may: it is killed then. */
export async function runToEnd(host: Host, argv: readonly string[], limits: Limits): Promise<Ended> {
  const late = new HoldfastError({
    code: 'host.command-failed',
    message: `${argv[0]} did not end within ${limits.timeoutMs / 1000} s and was killed`,
    remedy: 'Find out what it waits for, or set a longer timeout.',
  });
  return await inTime(limits, late, async (signal) => {
    const process = await host.run({ argv, signal });
    await process.endInput();
    let stdout = '';
    for await (const chunk of process.stdout) {
      if (stdout.length < keptBytes) stdout += Buffer.from(chunk).toString('utf8');
    }
    const { status, signal: killer, stderr } = await process.exit;
    throwIfCancelled(signal);
    const tail = stderr
      .trim()
      .slice(-toldCharacters)
      .replace(/\s*\n\s*/g, ' | ');
    const ending = status === null ? `was killed by ${killer ?? 'a signal'}` : `ended with status ${status}`;
    return { status, stdout, words: tail === '' ? ending : `${ending}: ${tail}` };
  });
}

/** The same for one that has to end with 0. `what` is how the error names it. */
export async function mustSucceed(host: Host, argv: readonly string[], what: string, limits: Limits): Promise<void> {
  const { status, words } = await runToEnd(host, argv, limits);
  if (status === 0) return;
  throw new HoldfastError({
    code: 'host.command-failed',
    message: `${what}: ${argv[0]} ${words}`,
    remedy: `Run it by hand on ${host.name} to see what it needs.`,
  });
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
    done.abort();
  }
}
