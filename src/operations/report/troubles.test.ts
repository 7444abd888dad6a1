import { expect, test } from 'vitest';
import { openCatalogue } from '../../catalogue/open.ts';
import { claimRun, finishRun, insertRun } from '../../catalogue/runs.ts';
import { troublesOf } from './troubles.ts';

const minute = 60_000;

test('a drill that failed in one repository is made good there only, one that reached none by any', async () => {
  let nowMs = 1000 * minute;
  await using catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => nowMs);
  const drilled = async (repository: string | undefined, state: 'succeeded' | 'failed'): Promise<void> => {
    nowMs += minute;
    const about = { kind: 'drill', source: 'shop', repository, host: 'local' } as const;
    const { id } = await insertRun(catalogue, { ...about, trigger: 'manual', askedBy: 'x' });
    const { fence } = (await claimRun(catalogue, { id, worker: 'w', leaseMs: minute }))!;
    nowMs += minute;
    await finishRun(catalogue, { id, fence, outcome: { state }, events: [] });
  };
  await drilled('r1', 'failed');
  await drilled(undefined, 'failed');
  await drilled('r2', 'succeeded');
  const made = async () => {
    const { troubles } = await troublesOf(catalogue, { sinceMs: 0, untilMs: nowMs + minute, lateMs: minute });
    return troubles.map(({ repository, madeGood }) => [repository, madeGood !== undefined]);
  };
  expect(await made()).toEqual([
    ['r1', false],
    [undefined, true],
  ]);
  await drilled('r1', 'succeeded');
  expect(await made()).toEqual([
    ['r1', true],
    [undefined, true],
  ]);
});
