import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ResultMessage } from '../../agent/protocol.ts';
import { type Catalogue, openCatalogue } from '../../catalogue/open.ts';
import { readLog } from '../../catalogue/run-log.ts';
import { claimRun, closeLostRuns, getRun, insertRun } from '../../catalogue/runs.ts';
import { recordLate } from './held.ts';

let nowMs = 0;
let catalogue: Catalogue;
beforeEach(async () => {
  catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => nowMs);
});
afterEach(async () => await catalogue[Symbol.asyncDispose]());

/** A run of an agent that was closed as lost: what its log and its events say once the agent tells how it ended. */
async function toldLate(outcome: ResultMessage['outcome'], { isLost = true } = {}) {
  const about = { kind: 'backup', source: 'shop', host: 'far', trigger: 'manual', askedBy: 'anna' } as const;
  const { id } = await insertRun(catalogue, about);
  const { fence } = (await claimRun(catalogue, { id, worker: 'w', leaseMs: 1000 }))!;
  nowMs += 60_000;
  if (isLost) await closeLostRuns(catalogue);
  const result = { kind: 'result', runId: id, fence, endedAtMs: nowMs - 1000, outcome } as ResultMessage;
  await recordLate(catalogue, { agent: 'far', result, nowMs });
  const notes = (await readLog(catalogue, { id, limit: 10 })).map(({ event }) => event);
  const events = await catalogue.db.selectFrom('happening').select(['type', 'title']).orderBy('id').execute();
  return { run: (await getRun(catalogue, id))!, notes, events };
}

test('a lost run that had ended well over there is told as one', async () => {
  const { run, notes, events } = await toldLate({ ok: true, output: { ok: true, result: {} } });
  expect(run).toMatchObject({ state: 'failed', error: { code: 'run.lost' } });
  expect(notes).toMatchObject([{ type: 'note', message: expect.stringContaining('came to its end there') }]);
  expect(events.map(({ type }) => type)).toEqual(['run.lost', 'run.warning']);
  expect(events[1].title).toContain('had ended well');
});

test.each<[string, ResultMessage['outcome'], string]>([
  [
    'did not do all of it',
    { ok: true, output: { ok: false, error: { code: 'source.unreadable', message: 'a.txt is closed', remedy: '' } } },
    'failed there: a.txt is closed',
  ],
  ['does not say what is missing', { ok: true, output: { ok: false } }, 'failed there: not all of it was done'],
  ['gave nothing that is known', { ok: true, output: 'well' }, 'failed there: not all of it was done'],
  ['gave nothing', { ok: true, output: undefined }, 'failed there: not all of it was done'],
  [
    'threw',
    { ok: false, error: { code: 'storage.full', message: 'the disk is full', remedy: '', retry: 'later' } },
    'failed there: the disk is full',
  ],
])('a lost run that %s is not told as ended well', async (_, outcome, said) => {
  const { notes, events } = await toldLate(outcome);
  expect(notes).toMatchObject([{ type: 'note', message: expect.stringContaining(said) }]);
  expect(events.map(({ type }) => type)).toEqual(['run.lost']);
});

test('what is told of a run that nobody closed as lost is left to its end', async () => {
  const { notes, events } = await toldLate({ ok: true, output: { ok: true } }, { isLost: false });
  expect([notes, events]).toEqual([[], []]);
});
