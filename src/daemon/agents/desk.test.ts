import { expect, test } from 'vitest';
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

/** A desk, and what it says to the agent. */
function deskWith({ resume = false, ...times }: Partial<DeskTiming> & { resume?: boolean } = {}) {
  const said: ToAgent[] = [];
  const late: string[] = [];
  const link = { send: (message: ToAgent) => said.push(message) > 0 };
  const desk = new AgentDesk({
    ...{ name: 'far', clock: systemClock, timing: { ...timing, ...times } },
    resume: async () => resume,
    late: async ({ runId }) => void late.push(runId),
  });
  const kinds = (): string[] => said.map((one) => one.kind);
  return { desk, link, said, late, kinds };
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
  const { desk, link, kinds } = deskWith();
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
  expect(kinds().slice(2)).toEqual(['ack', 'ack']);
  expect(desk.unsettled).toEqual([hold]);
  desk.settle(hold);
  expect(kinds().at(-1)).toBe('settled');
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
  const { desk, link, said, late, kinds } = deskWith();
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
