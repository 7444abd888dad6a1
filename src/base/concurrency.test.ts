import { expect, test } from 'vitest';
import { forEachConcurrent } from './concurrency.ts';
import { HoldfastError } from './errors.ts';

test('What is stopped ends with what it was stopped for, and begins nothing more', async () => {
  const lost = new HoldfastError({ code: 'repository.lock-lost', message: 'lost', remedy: 'again' });
  for (const [reason, code] of [
    [lost, 'repository.lock-lost'],
    [undefined, 'cancelled'],
  ] as const) {
    const stop = new AbortController();
    const begun: number[] = [];
    const task = async (item: number): Promise<void> => {
      begun.push(item);
      if (item === 2) stop.abort(reason);
    };
    await expect(forEachConcurrent([1, 2, 3, 4], 1, task, stop.signal)).rejects.toMatchObject({ code });
    expect(begun).toEqual([1, 2]);
  }
});
