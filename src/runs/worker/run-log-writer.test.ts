import { sql } from 'kysely';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { type Catalogue, openCatalogue } from '../../catalogue/open.ts';
import { lastTold, readLog } from '../../catalogue/run-log.ts';
import type { RunEvent } from '../../model/run.ts';
import { RunLogWriter } from './run-log-writer.ts';

const id = 'r1';
const fence = 3;
let catalogue: Catalogue;
let writer: RunLogWriter;

beforeEach(async () => {
  catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => Date.now());
  const at = { notBeforeMs: 1, queuedAtMs: 1, attempt: 1, cancelRequested: 0 };
  const row = {
    id,
    fence,
    kind: 'backup',
    trigger: 'manual',
    state: 'running',
    askedBy: 'anna',
    input: '{}',
    host: 'local',
    ...at,
  };
  await catalogue.db
    .insertInto('run')
    .values(row as never)
    .execute();
  writer = new RunLogWriter(catalogue, { id, fence }, systemClock);
});
afterEach(() => catalogue[Symbol.asyncDispose]());

const note = (message: string): RunEvent => ({ type: 'note', message });
const lines = async (): Promise<RunEvent[]> => (await readLog(catalogue, { id, limit: 100 })).map((line) => line.event);

test('what was reported is in the catalogue when it is said to be written, once and in its order', async () => {
  await writer.written();
  writer.report(note('a'));
  const first = writer.written();
  writer.report(note('b'));
  await Promise.all([first, writer.written(), writer.flush()]);
  expect(await lines()).toEqual([note('a'), note('b')]);
});

test('what cannot be written is not said to be, until it can', async () => {
  await sql`alter table run_log rename to away`.execute(catalogue.db);
  writer.report(note('a'));
  let isWritten = false;
  const writing = writer.written().then(() => {
    isWritten = true;
  });
  await expect(writer.flush()).rejects.toThrow();
  expect(isWritten).toBe(false);
  await sql`alter table away rename to run_log`.execute(catalogue.db);
  await writer.flush();
  await writing;
  expect(await lines()).toEqual([note('a')]);
});

test('a server that comes after one that died knows the number of what is written', async () => {
  expect(await lastTold(catalogue, { id, fence })).toBe(0);
  writer.report(note('"told":[3,99]'), 4);
  writer.report({ type: 'progress', stage: 'read', bytesDone: 1 } as RunEvent, 5);
  writer.report(note('of the server'));
  await writer.written();
  expect(await lastTold(catalogue, { id, fence })).toBe(4);
  expect(await lastTold(catalogue, { id, fence: 2 })).toBe(0);
  expect(await lines()).toEqual([note('"told":[3,99]'), note('of the server')]);
});
