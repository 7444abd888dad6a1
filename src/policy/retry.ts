/** Whether a run that failed is tried again, and when. */
import type { ErrorCode, Retry } from '../base/errors.ts';
import type { Retrying } from './run-plan.ts';

export interface Failure {
  readonly code: ErrorCode | string;
  /** As the error says of itself; see `HoldfastError.retry`. */
  readonly retry: Retry;
}

/** No wait is longer. */
const longestDelayMs = 6 * 3_600_000;
/** A run whose worker died is tried once more also where nothing is said of retries: it was not its own fault. */
const lostAttempts = 2;
const lostDelayMs = 60_000;

/** How long after its end it is tried again; `undefined`: it is not. `attempt` is the one that failed, from 1. */
export function retryDelayMs({ code, retry }: Failure, attempt: number, plan: Retrying): number | undefined {
  const isLost = code === 'run.lost';
  if (!isLost && retry === 'never') return undefined;
  const attempts = isLost ? Math.max(plan.attempts, lostAttempts) : plan.attempts;
  if (attempt >= attempts) return undefined;
  if (isLost) return Math.min(lostDelayMs, plan.delayMs || lostDelayMs);
  return Math.min(longestDelayMs, plan.delayMs * 2 ** (attempt - 1));
}
