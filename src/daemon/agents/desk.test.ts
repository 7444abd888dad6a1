import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { AgentRuns } from '../../agent/agent-runs.ts';
import type { AgentHello, Perform, ResultMessage, ToAgent } from '../../agent/protocol.ts';
import { systemClock } from '../../base/clock.ts';
import { cancelled } from '../../base/errors.ts';
import type { RunEvent } from '../../model/run.ts';
import { AgentDesk, type DeskTiming } from './desk.ts';

const timing: DeskTiming = { awayMs: 60_000, goneMs: 60_000, endMs: 60_000 };
const work: Perform = {
  ...{ kind: 'perform', runId: 'r', fence: 3, operation: 'backup', source: 's' },
  ...{ input: {}, configuration: '', secrets: {} },
};
const hold = { runId: 'r', fence: 3 };

function greeting(runs: AgentHello['runs'] = [], instance = 'first'): AgentHello {
  const protocol = { major: 1, minor: 0 };
  return { kind: 'hello', protocol, version: '1', features: [], hostname: 'h', platform: '', instance, runs };
}

/** A desk, and what it says to the agent. The catalogue has the ends of the runs in `ended`. */
function deskWith({ resume = false, ...times }: Partial<DeskTiming> & { resume?: boolean } = {}) {
  const said: ToAgent[] = [];
  const late: string[] = [];
  const ended = new Set<string>();
  const link = { send: (message: ToAgent) => said.push(message) > 0 };
  const desk = new AgentDesk({
    ...{ name: 'far', clock: systemClock, timing: { ...timing, ...times } },
    resume: async () => resume,
    isEnded: async ({ runId }) => ended.has(runId),
    late: async ({ runId }) => void late.push(runId),
  });
  const kinds = (): string[] => said.map((one) => one.kind);
  return { desk, link, said, late, ended, kinds };
}

function execute(
  desk: AgentDesk,
  signal = new AbortController().signal,
  { written = async () => {}, after = 0 }: { written?: () => Promise<void>; after?: number } = {},
) {
  const told: RunEvent[] = [];
  const ended = desk.execute(work, { signal, report: (event) => told.push(event), written, after });
  ended.catch(() => undefined);
  return { told, ended };
}

const note = (message: string): RunEvent => ({ type: 'note', message });
function result(output: unknown): ResultMessage {
  const outcome = { ok: true as const, output };
  return { kind: 'result', ...hold, operation: 'backup', outcome, startedAtMs: 1, endedAtMs: 2, warnings: [] };
}

test('events that come twice are told once, and a run that came over a broken connection is sent again', async () => {
  const { desk, link, kinds, ...catalogue } = deskWith();
  await desk.attach(link, greeting());
  const { told, ended } = execute(desk);
  desk.detach(link);
  await desk.attach(link, greeting());
  expect(kinds(), 'the agent knows nothing of it').toEqual(['perform', 'perform']);
  await desk.take({ kind: 'accepted', ...hold });
  await desk.take({ kind: 'events', ...hold, from: 1, events: [note('a'), note('b')] });
  await desk.take({ kind: 'events', ...hold, from: 1, events: [note('a'), note('b'), note('c')] });
  await desk.take(result('done'));
  expect(await ended).toBe('done');
  expect(told).toEqual([note('a'), note('b'), note('c')]);
  await desk.settleEnded();
  expect(kinds().slice(2)).toEqual(['ack', 'ack']);
  catalogue.ended.add('r');
  await desk.settleEnded();
  expect(kinds().slice(4)).toEqual(['settled']);
  await desk.settleEnded();
  expect(kinds().slice(4)).toEqual(['settled']);
});

test('events are confirmed when they are written down, and not told again that were written before a crash', async () => {
  const { desk, link, said } = deskWith();
  await desk.attach(link, greeting());
  const writing = Promise.withResolvers<void>();
  const { told, ended } = execute(desk, undefined, { written: () => writing.promise, after: 2 });
  await desk.take({ kind: 'accepted', ...hold });
  await desk.take({ kind: 'events', ...hold, from: 1, events: [note('a'), note('b'), note('c')] });
  expect(told).toEqual([note('c')]);
  expect(said.map((one) => one.kind)).toEqual(['perform']);
  writing.resolve();
  await desk.take(result('done'));
  await ended;
  expect(said.at(-1)).toEqual({ kind: 'ack', ...hold, upTo: 3 });
});

test('what an agent says of a run that is left to the next server is neither confirmed nor settled', async () => {
  const { desk, link, kinds, late } = deskWith();
  await desk.attach(link, greeting());
  const stop = new AbortController();
  const { told, ended } = execute(desk, stop.signal);
  await desk.take({ kind: 'accepted', ...hold });
  stop.abort(cancelled('left'));
  await expect(ended).rejects.toMatchObject({ code: 'cancelled' });
  await desk.take({ kind: 'events', ...hold, from: 1, events: [note('a')] });
  await desk.take(result('done'));
  expect([kinds(), told, late]).toEqual([['perform'], [], []]);
});

test('an agent that comes back while the server stops is not told to end a run that is left to the next server', async () => {
  const { desk, link, kinds } = deskWith();
  await desk.attach(link, greeting());
  const stop = new AbortController();
  const { ended } = execute(desk, stop.signal);
  await desk.take({ kind: 'accepted', ...hold });
  stop.abort(cancelled('left'));
  await expect(ended).rejects.toMatchObject({ code: 'cancelled' });
  desk.detach(link);
  await desk.attach(link, greeting([{ ...hold, state: 'running' }]));
  await desk.settleEnded();
  expect(kinds()).toEqual(['perform']);
});

test('a run of a server before this one is nobody’s to end while this one stops: the catalogue does not have its end', async () => {
  const { desk, link, kinds, late } = deskWith({ resume: false });
  await desk.attach(link, greeting([{ ...hold, state: 'running' }]));
  await desk.take({ kind: 'events', ...hold, from: 1, events: [note('a')] });
  await desk.take(result('done'));
  expect([kinds(), late]).toEqual([[], []]);
});

test('a result that was heard and is not written down is kept by the agent, also when it says it again', async () => {
  const { desk, link, kinds, late } = deskWith({ resume: false });
  await desk.attach(link, greeting());
  const { ended } = execute(desk);
  await desk.take({ kind: 'accepted', ...hold });
  await desk.take(result('done'));
  await ended;
  desk.detach(link);
  await desk.attach(link, greeting([{ ...hold, state: 'ended' }]));
  await desk.take(result('done'));
  await desk.settleEnded();
  expect([kinds(), late]).toEqual([['perform'], []]);
});

test('a result that is said again while its end is being written is settled on that connection once it is', async () => {
  // Whose end is being written is held, so that it counts as resumed.
  const { desk, link, kinds, ...catalogue } = deskWith({ resume: true });
  await desk.attach(link, greeting());
  const { ended } = execute(desk);
  await desk.take({ kind: 'accepted', ...hold });
  await desk.take(result('done'));
  await ended;
  await desk.attach(link, greeting([{ ...hold, state: 'ended' }]));
  await desk.take(result('done'));
  catalogue.ended.add('r');
  await desk.settleEnded();
  expect(kinds()).toEqual(['perform', 'settled']);
});

test('a run that ends before whoever resumes it waits for it is stopped at the agent, and what it says is heard', async () => {
  const { desk, link, said, late, ended, kinds } = deskWith({ resume: true });
  await desk.attach(link, greeting([{ ...hold, state: 'running' }]));
  await desk.take({ kind: 'events', ...hold, from: 1, events: [note('a')] });
  await desk.settleEnded();
  expect(kinds()).toEqual([]);
  ended.add('r');
  await desk.settleEnded();
  expect(said).toMatchObject([
    { kind: 'ack', upTo: 1 },
    { kind: 'cancel', error: { code: 'run.lost' } },
  ]);
  await desk.take(result('done'));
  expect([late, kinds().at(-1)]).toEqual([['r'], 'settled']);
});

test('a run that was closed as lost, though its result had been heard, is told of before it is forgotten', async () => {
  const { desk, link, late, kinds, ...catalogue } = deskWith();
  await desk.attach(link, greeting());
  const { ended } = execute(desk);
  await desk.take({ kind: 'accepted', ...hold });
  await desk.take(result('done'));
  await ended;
  catalogue.ended.add('r');
  await desk.settleEnded();
  expect([late, kinds()]).toEqual([['r'], ['perform', 'settled']]);
});

test('with the catalogue away, an agent tells the end of what was cancelled over the connection it has', async () => {
  const { desk, ended, late } = deskWith({ endMs: 0 });
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-desk-'));
  const agent = await AgentRuns.open({
    ...{ clock: systemClock, directory, isKnown: () => true, wake: () => {} },
    perform: async (_request, { signal, report }) => {
      report(note('a'));
      await systemClock.sleep(60_000, { signal });
    },
  });
  const sending: Promise<void>[] = [];
  const send = (message: ToAgent): boolean => {
    if (message.kind === 'perform') sending.push(desk.take(agent.start(message)));
    if (message.kind === 'cancel') agent.cancel(message, message.error);
    if (message.kind === 'ack') agent.acknowledge(message, message.upTo);
    if (message.kind === 'settled') sending.push(agent.settle(message));
    return true;
  };
  try {
    await desk.attach({ send }, greeting());
    const stop = new AbortController();
    const lost = execute(desk, stop.signal, { written: () => new Promise(() => {}) });
    await expect.poll(() => agent.due().length).toBe(1);
    for (const message of agent.due()) await desk.take(message);
    stop.abort(cancelled('lost'));
    await expect(lost.ended).rejects.toMatchObject({ code: 'cancelled' });
    await expect.poll(() => agent.due().map(({ kind }) => kind)).toEqual(['result']);
    for (const message of agent.due()) await desk.take(message);
    ended.add('r');
    await desk.settleEnded();
    await Promise.all(sending);
    expect([late, agent.list()]).toEqual([['r'], []]);
  } finally {
    await agent.stop();
    rmSync(directory, { recursive: true, force: true });
  }
});

test('a run that the agent has goes on; one that a new process of the agent does not have is lost', async () => {
  const { desk, link, kinds } = deskWith();
  await desk.attach(link, greeting());
  const { ended } = execute(desk);
  await desk.take({ kind: 'accepted', ...hold });
  desk.detach(link);
  await desk.attach(link, greeting([{ ...hold, state: 'running' }]));
  expect(kinds()).toEqual(['perform']);
  await desk.attach(link, greeting([], 'second'));
  await expect(ended).rejects.toMatchObject({ code: 'run.lost', retry: 'later' });
});

test('what comes of a run that is resumed waits for whoever resumes it', async () => {
  const { desk, link, kinds } = deskWith({ resume: true });
  await desk.attach(link, greeting([{ ...hold, state: 'ended' }]));
  await desk.take({ kind: 'events', ...hold, from: 1, events: [note('a')] });
  await desk.take(result('done'));
  const { told, ended } = execute(desk);
  expect(await ended).toBe('done');
  expect(told).toEqual([note('a')]);
  expect(kinds()).toEqual(['ack']);
});

test('what nobody waits for is stopped at the agent, and its end is told before it is forgotten', async () => {
  const { desk, link, said, late, ended, kinds } = deskWith();
  ended.add('r');
  await desk.attach(link, greeting([{ ...hold, state: 'running' }]));
  expect(said[0]).toMatchObject({ kind: 'cancel', error: { code: 'run.lost' } });
  await desk.take(result('done'));
  expect(late).toEqual(['r']);
  expect(kinds().at(-1)).toBe('settled');
});

test('an answer to an older fence changes nothing', async () => {
  const { desk, link } = deskWith();
  await desk.attach(link, greeting());
  const { told } = execute(desk);
  await desk.take({ kind: 'events', runId: 'r', fence: 2, from: 1, events: [note('old')] });
  await desk.take({ ...result('old'), fence: 2 });
  expect(told).toEqual([]);
});

test('a run that is cancelled before anybody has it ends at once; later its end is waited for', async () => {
  const { desk, link, kinds } = deskWith();
  const early = new AbortController();
  const first = execute(desk, early.signal);
  early.abort(cancelled());
  await expect(first.ended).rejects.toMatchObject({ code: 'cancelled' });
  await desk.attach(link, greeting());
  const stop = new AbortController();
  const second = execute(desk, stop.signal);
  stop.abort(cancelled());
  expect(kinds()).toEqual(['perform', 'cancel']);
  const error = { code: 'cancelled', message: 'm', remedy: 'r' };
  await desk.take({ ...result(0), outcome: { ok: false, error } });
  await expect(second.ended).rejects.toMatchObject({ code: 'cancelled' });
});

test('a server that ends leaves the run with the agent', async () => {
  const { desk, link, kinds } = deskWith();
  await desk.attach(link, greeting());
  const stop = new AbortController();
  const { ended } = execute(desk, stop.signal);
  stop.abort(cancelled('left'));
  await expect(ended).rejects.toMatchObject({ code: 'cancelled' });
  expect(kinds()).toEqual(['perform']);
});

test('an agent that does not come, and one that does not end what it should, are not waited for without end', async () => {
  const away = deskWith({ awayMs: 0 });
  await expect(execute(away.desk).ended).rejects.toMatchObject({ code: 'agent.away', retry: 'later' });
  const deaf = deskWith({ endMs: 0 });
  await deaf.desk.attach(deaf.link, greeting());
  const stop = new AbortController();
  const { ended } = execute(deaf.desk, stop.signal);
  stop.abort(cancelled());
  await expect(ended).rejects.toMatchObject({ code: 'cancelled' });
});
