import { expect, it } from 'vitest';
import { retryDelayMs } from './retry.ts';

const plan = { attempts: 4, delayMs: 300_000 };

it('waits twice as long each time, and ends after the attempts that are allowed', () => {
  const delays = [1, 2, 3, 4].map((attempt) =>
    retryDelayMs({ code: 'storage.unreachable', retry: 'later' }, attempt, plan),
  );
  expect(delays).toEqual([300_000, 600_000, 1_200_000, undefined]);
});

it('does not repeat what would fail again', () => {
  expect(retryDelayMs({ code: 'repository.wrong-password', retry: 'never' }, 1, plan)).toBeUndefined();
});

it('repeats a run whose worker died, also where nothing is said of retries', () => {
  expect(retryDelayMs({ code: 'run.lost', retry: 'never' }, 1, { attempts: 1, delayMs: 0 })).toBe(60_000);
  expect(retryDelayMs({ code: 'run.lost', retry: 'never' }, 2, { attempts: 1, delayMs: 0 })).toBeUndefined();
  expect(retryDelayMs({ code: 'run.lost', retry: 'never' }, 3, plan)).toBe(60_000);
});

it('never waits longer than a quarter of a day', () => {
  expect(retryDelayMs({ code: 'host.unreachable', retry: 'later' }, 30, { attempts: 99, delayMs: 300_000 })).toBe(
    6 * 3_600_000,
  );
});
