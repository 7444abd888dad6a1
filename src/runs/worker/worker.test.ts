import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { type Catalogue, openCatalogue } from '../../catalogue/open.ts';
import { claimRun, getRun, type Hold, insertRun } from '../../catalogue/runs.ts';
import type { RunEvent } from '../../model/run.ts';
import type { Execute } from '../execute.ts';
import { EmbeddedQueue } from '../queue/embedded-queue.ts';
import { RunLogWriter } from './run-log-writer.ts';
import { Worker } from './worker.ts';

const leaseMs = 60_000;
let catalogue: Catalogue;
let hold: Hold;

beforeEach(async () => {
  catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => Date.now());
  const about = { kind: 'backup', source: 'shop', host: 'far', trigger: 'manual', askedBy: 'anna' } as const;
  const { id } = await insertRun(catalogue, about);
  hold = { id, fence: (await claimRun(catalogue, { id, worker: 'the server before', leaseMs }))!.fence };
});
afterEach(async () => await catalogue[Symbol.asyncDispose]());

function workerOf(execute: Execute): Worker {
  return new Worker({
    ...{ name: 'this server', capacity: 2, lanes: ['any'], queue: new EmbeddedQueue(systemClock), catalogue, leaseMs },
    ...{ clock: systemClock, log: { warn: () => undefined }, execute },
    plan: () => ({ retrying: () => ({ attempts: 1, delayMs: 0 }), timeoutMs: () => undefined }),
  });
}

const warning = (message: string): RunEvent => ({ type: 'warning', code: 'source.unreadable', message });
const happened = async () =>
  await catalogue.db.selectFrom('happening').select(['type', 'title']).orderBy('id').execute();

/** As a server before this one wrote it. */
async function wroteBefore(...events: readonly RunEvent[]): Promise<void> {
  const writer = new RunLogWriter(catalogue, hold, systemClock);
  for (const [i, event] of events.entries()) writer.report(event, i + 1);
  await writer.written();
}

test('what a run warned of before its server was started anew counts at its end', async () => {
  await wroteBefore(warning('3 files could not be read'), { type: 'note', message: 'no "type":"warning" at all' });
  const worker = workerOf(async (_run, { report }) => {
    report(warning('a.txt is closed'), 3);
    return { ok: true, result: {} };
  });
  expect(await worker.resume(hold)).toBe(true);
  await worker.stop(leaseMs);
  expect(await happened()).toMatchObject([
    { type: 'backup.succeeded' },
    { type: 'run.warning', title: expect.stringContaining('2 times') },
  ]);
});

test('a run that is resumed just when its worker begins to stop is left to the next one', async () => {
  const signals: AbortSignal[] = [];
  const execute: Execute = async (_run, { signal }) => {
    signals.push(signal);
    await systemClock.sleep(leaseMs, { signal });
    return { ok: true };
  };
  const worker = workerOf(execute);
  const resuming = worker.resume(hold);
  const stopping = worker.stop(leaseMs);
  await Promise.all([resuming, stopping]);
  await expect.poll(() => worker.running).toEqual([]);
  expect(await getRun(catalogue, hold.id)).toMatchObject({ state: 'running' });
  expect(signals).toMatchObject([{ reason: { cause: 'left' } }]);
});
