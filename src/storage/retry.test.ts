import { describe, expect, it } from 'vitest';
import type { Clock } from '../base/clock.ts';
import { cancelled, HoldfastError, type Retry } from '../base/errors.ts';
import { isPassingNetworkError, isPassingStatus, parseHttpDate, parseRetryAfter, withRetries } from './retry.ts';

/** Time that passes only by waiting. */
function waitingClock() {
  const waits: number[] = [];
  const now = () => waits.reduce((sum, ms) => sum + ms, 0);
  const clock: Clock = {
    nowMs: now,
    monotonicMs: now,
    sleep: async (ms, { signal } = {}) => {
      if (signal?.aborted) throw cancelled();
      waits.push(ms);
    },
  };
  return { clock, waits };
}

function failure(retry: Retry, context: Record<string, number> = {}) {
  return new HoldfastError({ code: 'storage.unreachable', message: 'gone', remedy: 'wait', retry, context });
}

function failing(times: number, error: unknown) {
  const attempts: number[] = [];
  const task = async (attempt: number) => {
    attempts.push(attempt);
    if (attempt < times) throw error;
    return 'done';
  };
  return { attempts, task };
}

describe('what failed for a passing reason', () => {
  it('is tried again after waits that may double each time, and are drawn from the whole of it', async () => {
    const { clock, waits } = waitingClock();
    const { task } = failing(4, failure('later'));
    expect(await withRetries(task, { clock, random: () => 1 })).toBe('done');
    expect(waits).toEqual([400, 800, 1600, 3200]);
    waits.length = 0;
    await withRetries(failing(2, failure('later')).task, { clock, random: () => 0 });
    expect(waits).toEqual([0, 0]);
  });

  it('is given up after eight tries, with the last error', async () => {
    const { clock, waits } = waitingClock();
    const { task, attempts } = failing(100, failure('later'));
    await expect(withRetries(task, { clock })).rejects.toMatchObject({ code: 'storage.unreachable' });
    expect(attempts).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(waits).toHaveLength(7);
  });

  it('is tried again at once where the error says so, the first time', async () => {
    const { clock, waits } = waitingClock();
    await withRetries(failing(2, failure('now')).task, { clock, random: () => 1 });
    expect(waits).toEqual([0, 800]);
  });

  it('waits as long as it was asked to, and not beyond its time', async () => {
    const { clock, waits } = waitingClock();
    const asked = failure('later', { retryAfterMs: 5000 });
    await withRetries(failing(1, asked).task, { clock, random: () => 1 });
    expect(waits).toEqual([5400]);
    const endless = failing(9, failure('later', { retryAfterMs: 3_600_000 }));
    await expect(withRetries(endless.task, { clock })).rejects.toBeInstanceOf(HoldfastError);
    expect(endless.attempts).toEqual([0]);
  });

  it('is not waited for once it is cancelled', async () => {
    const { clock } = waitingClock();
    const stop = new AbortController();
    const task = async () => {
      stop.abort();
      throw failure('later');
    };
    await expect(withRetries(task, { clock, signal: stop.signal })).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('ends with what it was stopped for', async () => {
    const { clock } = waitingClock();
    const stop = new AbortController();
    const lost = new HoldfastError({ code: 'repository.lock-lost', message: 'lost', remedy: 'again' });
    const task = async () => {
      stop.abort(lost);
      throw failure('later');
    };
    await expect(withRetries(task, { clock, signal: stop.signal })).rejects.toBe(lost);
  });
});

it('What fails for good, by cancelling or by a fault of the program is not tried again', async () => {
  const { clock } = waitingClock();
  for (const error of [failure('never'), cancelled(), new TypeError('x')]) {
    const { task, attempts } = failing(9, error);
    await expect(withRetries(task, { clock })).rejects.toBe(error);
    expect(attempts).toEqual([0]);
  }
});

it('Timeouts, overload and faults of servers pass; refusals do not', () => {
  expect([408, 429, 500, 502, 503, 504].every(isPassingStatus)).toBe(true);
  expect([200, 301, 400, 401, 403, 404, 409, 412, 416, 501, 507].some(isPassingStatus)).toBe(false);
  expect(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN'].every(isPassingNetworkError)).toBe(true);
  expect(['ENOTFOUND', 'CERT_HAS_EXPIRED', undefined].some(isPassingNetworkError)).toBe(false);
});

it('Retry-After is seconds or a date', () => {
  const now = Date.UTC(2026, 10, 21, 14, 5, 20);
  expect(parseRetryAfter('120', now)).toBe(120_000);
  expect(parseRetryAfter('Sat, 21 Nov 2026 14:05:26 GMT', now)).toBe(6000);
  expect(parseRetryAfter('Sat, 21 Nov 2026 14:05:00 GMT', now)).toBe(0);
  expect([undefined, 'soon', '-1', 'Sat, 21 Nix 2026 14:05:26 GMT'].map((v) => parseRetryAfter(v, now))).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  expect(parseHttpDate('Thu, 01 Jan 1970 00:00:00 GMT')).toBe(0);
});
