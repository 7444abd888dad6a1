/** The end of a window: everything that was stopped is started, the last one first, then what comes after. */
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import { mustSucceed, type Runner } from '../../hosts/run-to-end.ts';
import { type HookStep, type StopStep, titleOf } from '../../model/window.ts';
import type { Services } from './services.ts';

export interface ToClose {
  readonly stopped: readonly StopStep[];
  readonly after: readonly HookStep[];
}

export interface Closed {
  readonly failures: readonly string[];
  /** Those of them that are of steps afterwards, which are not tried again. */
  readonly failedSteps: readonly string[];
  /** What still does not run. */
  readonly left: readonly StopStep[];
  /** When the last one was started, on the monotonic clock. */
  readonly startedMs: number;
}

/** Never stops at a failure, and is never cancelled: each step has its own timeout. Does not reject. */
export async function closeWindow(
  { stopped, after }: ToClose,
  { host, services, clock }: { readonly host: Runner; readonly services: Services; readonly clock: Clock },
): Promise<Closed> {
  const failures: string[] = [];
  const left: StopStep[] = [];
  for (const step of stopped.toReversed()) {
    try {
      await services.start(step.stop, { clock, timeoutMs: step.timeoutMs });
    } catch (error) {
      left.unshift(step);
      failures.push(`${titleOf(step.stop)} IS STILL STOPPED: ${messageOf(error)}`);
    }
  }
  const startedMs = clock.monotonicMs();
  const failedSteps: string[] = [];
  for (const { run, timeoutMs } of after.toReversed()) {
    const what = 'a step after the backup failed';
    await mustSucceed(host, run, what, { clock, timeoutMs }).catch((error: unknown) => {
      const message = messageOf(error);
      failedSteps.push(message.startsWith(what) ? message : `${what}: ${message}`);
    });
  }
  return { failures: [...failures, ...failedSteps], failedSteps, left, startedMs };
}
