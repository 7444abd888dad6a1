/**
 * Tries again what failed for a passing reason: exponential back-off with full jitter (each wait is drawn from 0 to the
 * bound, so that many clients do not come back together), within a number of tries and a time.
 */
import { type Clock, parseInstant } from '../base/clock.ts';
import { HoldfastError, throwIfCancelled } from '../base/errors.ts';

export interface RetryPolicy {
  /** Tries in all. */
  readonly attempts: number;
  /** The longest first wait; each further one may be twice as long, up to `maxWaitMs`. */
  readonly firstWaitMs: number;
  readonly maxWaitMs: number;
  /** No new try begins later than this after the first began. */
  readonly withinMs: number;
}

/** About 25 s of waiting in the mean, 50 s at most. */
export const defaultRetryPolicy: RetryPolicy = {
  attempts: 8,
  firstWaitMs: 400,
  maxWaitMs: 30_000,
  withinMs: 10 * 60_000,
};

export interface RetryOptions {
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  readonly policy?: RetryPolicy;
  /** From 0 to 1; default: `Math.random`. */
  readonly random?: () => number;
}

/** What a task may leave in an error's context: the storage asked for this much patience. */
export const retryAfterMs = 'retryAfterMs';

/**
 * Runs `task` until it succeeds, fails with an error whose `retry` is `never` (or that is none of ours), or the policy is
 * used up; then the last error is thrown. A `retryAfterMs` in the error's context is heeded. `attempt` counts from 0: what
 * must not happen twice has to ask, after a failure, whether it has happened. Waits end at once with what `signal` was aborted for.
 */
export async function withRetries<T>(task: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const { clock, signal, policy = defaultRetryPolicy } = options;
  const startedMs = clock.monotonicMs();
  for (let attempt = 0; ; attempt++) {
    throwIfCancelled(signal);
    try {
      return await task(attempt);
    } catch (error) {
      if (attempt + 1 >= policy.attempts || !isPassing(error)) throw error;
      const waitMs = waitBefore(error, attempt, options);
      if (clock.monotonicMs() - startedMs + waitMs > policy.withinMs) throw error;
      await clock.sleep(waitMs, { signal }).catch((stopped: unknown) => {
        throwIfCancelled(signal);
        throw stopped;
      });
    }
  }
}

function isPassing(error: unknown): error is HoldfastError {
  return error instanceof HoldfastError && error.retry !== 'never' && error.code !== 'cancelled';
}

/** `now` is tried again at once the first time: a kept connection the server had closed is no sign of load. */
function waitBefore(
  error: HoldfastError,
  attempt: number,
  { policy = defaultRetryPolicy, random = Math.random }: RetryOptions,
): number {
  const asked = error.context[retryAfterMs];
  const least = typeof asked === 'number' ? asked : 0;
  if (error.retry === 'now' && attempt === 0) return least;
  return least + random() * Math.min(policy.maxWaitMs, policy.firstWaitMs * 2 ** attempt);
}

/** HTTP answers that may be others a moment later: timeouts, too many requests, faults of the server or of what is between. */
export function isPassingStatus(status: number): boolean {
  return [408, 425, 429, 500, 502, 503, 504, 509, 520, 521, 522, 523, 524].includes(status);
}

/** Errors of sockets and names (`systemCode` of the error) that may be gone a moment later. */
export function isPassingNetworkError(code: string | undefined): boolean {
  return code !== undefined && passingNetworkErrors.has(code);
}

const passingNetworkErrors = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ESOCKETTIMEDOUT',
  'ENETDOWN',
  'ENETUNREACH',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'EAI_AGAIN',
  'EADDRNOTAVAIL',
  'HPE_INVALID_EOF_STATE',
]);

/** `Retry-After` in ms from now: seconds or an HTTP date (RFC 9110, 10.2.3). `undefined` if absent or not understood; never below 0. */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\s*\d{1,9}\s*$/.test(value)) return Number(value) * 1000;
  const at = parseHttpDate(value);
  return at === undefined ? undefined : Math.max(0, at - nowMs);
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `Sat, 21 Nov 2026 14:05:26 GMT` in ms since the epoch; the obsolete forms are not read. */
export function parseHttpDate(text: string): number | undefined {
  const match = /^[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d:\d\d:\d\d) GMT$/.exec(text.trim());
  const month = match ? months.indexOf(match[2]) + 1 : 0;
  if (!match || month === 0) return undefined;
  return parseInstant(`${match[3]}-${String(month).padStart(2, '0')}-${match[1]}T${match[4]}Z`);
}
