import { expect, test } from 'vitest';
import type { RunKind, RunRecord, RunTrigger } from '../../model/run-record.ts';
import { endingOf, endingOfError } from './outcome.ts';

const facts = { nowMs: 1000, warnings: 0, retrying: () => ({ attempts: 3, delayMs: 60_000 }) };

function runOf(kind: RunKind, trigger: RunTrigger): RunRecord {
  const rest = { state: 'running', askedBy: 'anna', cancelRequested: false, input: {} } as const;
  return { ...rest, id: 'r', kind, trigger, source: 'shop', host: 'local', attempt: 2, notBeforeMs: 0, queuedAtMs: 0 };
}

test.each<[RunKind, RunTrigger]>([
  ['backup', 'manual'],
  ['drill', 'schedule'],
  ['restore', 'schedule'],
])('a %s (%s) that is stopped with its worker is begun again, and says so', (kind, trigger) => {
  const { outcome, next } = endingOfError(runOf(kind, trigger), undefined, 'shutdown', facts);
  expect(outcome).toMatchObject({ state: 'cancelled', error: { remedy: 'It is begun again by itself.' } });
  expect(next).toMatchObject([{ kind, trigger: 'retry', retryOf: 'r', attempt: 2, notBeforeMs: 1000 }]);
});

test('a restore that somebody asked for is not begun again with its worker, and promises nothing', () => {
  const { outcome, events, next } = endingOfError(runOf('restore', 'manual'), undefined, 'shutdown', facts);
  expect(outcome.error).toMatchObject({ code: 'cancelled', message: 'its worker was stopped' });
  expect(outcome.error?.remedy).toMatch(/^Start it again/);
  expect(JSON.stringify(events)).not.toContain('by itself');
  expect(next).toEqual([]);
});

test('what somebody stopped stays stopped', () => {
  const { outcome, next } = endingOfError(runOf('backup', 'schedule'), undefined, 'cancelled', facts);
  expect(outcome.error?.remedy).toMatch(/^Start it again/);
  expect(next).toEqual([]);
});

test('what was left out neither fails nor makes good for a failure, and is not tried again', () => {
  const leftOut = { code: 'repository.missing', message: 'usb is away', remedy: 'Nothing needs to be done.' };
  const { outcome, events, next } = endingOf(runOf('drill', 'schedule'), { ok: false, leftOut }, facts);
  expect(outcome).toMatchObject({ state: 'cancelled', error: { message: 'usb is away' } });
  expect(events.map(({ type, title }) => [type, title])).toEqual([
    ['run.cancelled', 'the drill of shop was left out: usb is away'],
  ]);
  expect(next).toEqual([]);
});

test.each([true, false])('what turned out to be read is in the run and in what is told of it (passed: %s)', (ok) => {
  const { outcome, events } = endingOf(runOf('drill', 'manual'), { ok, repository: 'r2' }, facts);
  expect(outcome.repository).toBe('r2');
  expect(events).toMatchObject([
    { repository: 'r2', title: `the drill of shop from r2 ${ok ? 'succeeded' : 'failed'}` },
  ]);
});

test('what is tried again is what was asked for, not what it turned out to be', () => {
  const error = { code: 'repository.locked', message: 'it is locked', remedy: 'wait', retry: 'later' } as const;
  const { next } = endingOf(runOf('drill', 'schedule'), { ok: false, error, repository: 'r2' }, facts);
  expect(next.map(({ trigger, repository }) => [trigger, repository])).toEqual([['retry', undefined]]);
});
