import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../base/clock.ts';
import type { Report, RunEvent } from '../model/run.ts';
import { AgentRuns } from './agent-runs.ts';
import type { Perform, ToServer } from './protocol.ts';

const hold = { runId: 'r', fence: 3 };
const work: Perform = {
  ...{ kind: 'perform', ...hold, operation: 'backup', source: 's' },
  ...{ input: {}, configuration: '', secrets: {} },
};
const note = (message: string): RunEvent => ({ type: 'note', message });
const warning = (message: string): RunEvent => ({ type: 'warning', code: 'source.unreadable', message });

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-runs-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A process of the agent whose runs do that. */
async function agentThat(perform: (report: Report) => Promise<void>): Promise<AgentRuns> {
  return await AgentRuns.open({
    ...{ clock: systemClock, directory, isKnown: () => true, wake: () => {} },
    perform: async (_request, { report }) => await perform(report),
  });
}

const nothing = async (): Promise<void> => {};
const resultIn = (messages: readonly ToServer[]) => messages.find((one) => one.kind === 'result');

test('what was not confirmed when a run ended is told by the next process under the same numbers, and its warnings once', async () => {
  const begun = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const first = await agentThat(async (report) => {
    for (const event of [note('a'), warning('b')]) report(event);
    begun.resolve();
    await goOn.promise;
    for (const event of [note('c'), warning('d')]) report(event);
  });
  first.start(work);
  await begun.promise;
  expect(first.due()).toEqual([{ kind: 'events', ...hold, from: 1, events: [note('a'), warning('b')] }]);
  goOn.resolve();
  await first.stop();

  const second = await agentThat(nothing);
  expect(second.list()).toMatchObject([{ ...hold, state: 'ended' }]);
  expect(second.due()).toEqual([
    { kind: 'events', ...hold, from: 1, events: [note('a'), warning('b'), note('c'), warning('d')] },
  ]);
  second.acknowledge(hold, 4);
  expect(second.due()).toMatchObject([{ kind: 'result', outcome: { ok: true }, warnings: [] }]);
  expect(Object.keys(second.due()[0])).not.toContain('untold');
  await second.settle(hold);
  expect([second.list(), readdirSync(directory)]).toEqual([[], []]);
});

test('what was confirmed before a run ended is not told again by the next process', async () => {
  const begun = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const first = await agentThat(async (report) => {
    report(warning('a'));
    begun.resolve();
    await goOn.promise;
    report(warning('b'));
  });
  first.start(work);
  await begun.promise;
  first.due();
  first.acknowledge(hold, 1);
  goOn.resolve();
  await first.stop();
  expect((await agentThat(nothing)).due()).toEqual([{ kind: 'events', ...hold, from: 2, events: [warning('b')] }]);
});

test('the result of an older version, which kept the messages of warnings only, still tells them', async () => {
  const first = await agentThat(async (report) => report(warning('a')));
  first.start(work);
  await expect.poll(() => first.running).toBe(0);
  const path = join(directory, readdirSync(directory)[0]);
  const { untold: _, ...older } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  writeFileSync(path, JSON.stringify(older));
  expect(resultIn((await agentThat(nothing)).due())).toMatchObject({ ...hold, warnings: ['a'] });
});
