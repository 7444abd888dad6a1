/** A connection that is being opened. Something may listen that never answers: a program that hangs, a proxy with nothing behind it. */
import type { Duplex } from 'node:stream';
import { HoldfastError } from '../base/errors.ts';
import { inTime, untilAborted } from '../base/in-time.ts';
import type { SourceContext } from './driver.ts';

/** As long as PostgreSQL, the most patient of them, gives a client for its part (authentication_timeout). */
const answerMs = 60_000;

/** The task, which needs answers of the server behind `stream`. The stream is destroyed if the task fails, if it takes too long (`host.unreachable`), and if the work is cancelled. */
export async function whileOpening<T>(
  { clock, signal }: Pick<SourceContext<unknown>, 'clock' | 'signal'>,
  { stream, title }: { readonly stream: Duplex; readonly title: string },
  task: () => Promise<T>,
): Promise<T> {
  try {
    return await inTime({ clock, timeoutMs: answerMs, signal }, silent(title), (both) => untilAborted(both, task));
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

function silent(title: string): HoldfastError {
  return new HoldfastError({
    code: 'host.unreachable',
    message: `${title} takes connections, but does not answer (waited ${answerMs / 1000} s)`,
    remedy: 'Look whether the server hangs, or whether it is a proxy or a forwarded port with nothing behind it.',
    retry: 'later',
  });
}
