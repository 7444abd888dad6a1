/** Runs through an agent, over real connections: what it performs, and what it survives. */
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { listHappenings } from '../../src/catalogue/happenings.ts';
import { readLog } from '../../src/catalogue/run-log.ts';
import { closeLostRuns } from '../../src/catalogue/runs.ts';
import type { RunRecord } from '../../src/model/run-record.ts';
import { snapshots } from '../../src/operations/snapshots/snapshots.ts';
import { AgentWorld, until } from './agent-world.ts';

let world: AgentWorld;

/**
 * The slow one says when it begins, and goes on when it is let. While it runs it holds a lock: another one beside it would
 * say so.
 */
const sources = `
  data: { driver: files, host: far, paths: [$FOLDER/data], policy: usual }
  slow: { driver: command, host: far, policy: usual, command: [sh, $FOLDER/slow.sh], secrets: { SHOP: { env: SHOP_PASSWORD } } }
`;
const slow = `exec 9>$FOLDER/lock
flock -n 9 || echo overlap >> $FOLDER/marks
echo begun >> $FOLDER/marks
echo $$ > $FOLDER/pid
until [ -e $FOLDER/go ]; do sleep 0.05; done
echo $SHOP
`;

beforeAll(async () => {
  world = await AgentWorld.open(sources);
  writeFileSync(world.path('slow.sh'), slow.replaceAll('$FOLDER', world.folder));
  await world.join();
  world.startAgent();
  await world.connected();
});

afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

beforeEach(async () => {
  for (const name of ['go', 'marks', 'pid']) rmSync(world.path(name), { force: true });
  await world.connected();
  await until('nothing is left of the test before', () => results().length === 0);
});

const marks = (): string => (existsSync(world.path('marks')) ? readFileSync(world.path('marks'), 'utf8') : '');
const hasBegun = (times = 1): Promise<void> =>
  until(`it began ${times} times`, () => marks() === 'begun\n'.repeat(times));
const letGo = (): void => writeFileSync(world.path('go'), '');

/** The program that the slow source is read by. */
function isReading(): boolean {
  try {
    return process.kill(Number(readFileSync(world.path('pid'), 'utf8')), 0);
  } catch {
    return false;
  }
}

function results(): string[] {
  const folder = world.path('agent/agent/results');
  return existsSync(folder) ? readdirSync(folder) : [];
}

async function happened(type: string): Promise<string[]> {
  const { events } = await listHappenings(world.catalogue, {}, { limit: 100 });
  return events.filter((one) => one.type === type).map((one) => one.title);
}

async function logOf(run: RunRecord): Promise<string> {
  return JSON.stringify(await readLog(world.catalogue, { id: run.id, limit: 1000 }));
}

/** As the scheduler does it when a lease has ended. */
async function closeAsLost(id: string): Promise<void> {
  await world.catalogue.db.updateTable('run').set({ leaseUntilMs: 0 }).where('id', '=', id).execute();
  expect(await closeLostRuns(world.catalogue)).toHaveLength(1);
}

test('an agent backs up straight into the repository, drills and restores over there', async () => {
  const backup = await world.run('backup', 'data');
  expect(backup.error).toBeUndefined();
  expect(backup).toMatchObject({ state: 'succeeded', snapshot: expect.stringMatching(/^[0-9a-f]{64}$/) });
  expect(backup.bytes).toBeGreaterThan(0);
  const drill = await world.run('drill', 'data');
  expect(drill).toMatchObject({ state: 'succeeded', snapshot: backup.snapshot });
  const restored = await world.run('restore', 'data', { to: `far:${world.path('restored')}` });
  expect(restored.error).toBeUndefined();
  expect(readFileSync(world.path('restored', world.path('data/one')), 'utf8')).toBe('content of one');
  const wrong = await world.run('restore', 'data', { to: 'data-elsewhere:/x', snapshot: 'ffffffff' });
  expect(wrong, 'an error over there is an error here').toMatchObject({
    state: 'failed',
    error: { code: 'snapshot.unknown', remedy: expect.any(String) },
  });
});

test('the repository holds the whole configuration of the server, not the part that the agent had', async () => {
  await world.run('backup', 'data');
  const execution = { clock: systemClock, signal: new AbortController().signal, report: () => undefined };
  const input = snapshots.input.parse({ repository: 'store', all: true });
  const { snapshots: found } = await snapshots.run(input, { ...world.access, ...execution });
  const state = found.filter((one) => one.paths.some((path) => path.endsWith('holdfast.yaml')));
  expect(state.map((one) => one.paths)).toEqual([[world.path('holdfast.yaml')]]);
});

test('no secret of the server is on the agent’s disk, in its log, or in what is remembered of the run', async () => {
  letGo();
  const run = await world.run('backup', 'slow');
  expect(run.error).toBeUndefined();
  const found: string[] = [];
  for (const entry of readdirSync(world.path('agent'), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = `${entry.parentPath}/${entry.name}`;
    expect(statSync(path).mode & 0o077, path).toBe(0);
    if (/secret of the server|correct horse/.test(readFileSync(path, 'latin1'))) found.push(path);
  }
  expect(found).toEqual([]);
  const told = world.logs.join('') + (await logOf(run)) + JSON.stringify(run);
  expect(told).not.toMatch(/secret of the server|correct horse/);
});

test('a run goes on while the server is gone, also while it is started anew, and is done once', async () => {
  const id = await world.request('backup', 'slow');
  await hasBegun();
  await world.stopServer();
  await setTimeout(500);
  await world.startServer();
  await world.connected();
  letGo();
  const run = await world.ended(id);
  expect(run.error).toBeUndefined();
  expect(run.state).toBe('succeeded');
  expect(marks()).toBe('begun\n');
});

test('a result that nobody could hear is kept, and counts when the server is back', async () => {
  const id = await world.request('backup', 'slow');
  await hasBegun();
  await world.stopServer();
  letGo();
  await until('the result is on the disk', () => results().some((name) => name.endsWith('.json')));
  await world.stopAgent();
  world.startAgent();
  await world.startServer();
  const run = await world.ended(id);
  expect(run).toMatchObject({ state: 'succeeded', snapshot: expect.any(String) });
  expect(marks()).toBe('begun\n');
  await until('the result was settled', () => results().length === 0);
});

test('a run that the server closed as lost is stopped at the agent before another one begins', async () => {
  const id = await world.request('backup', 'slow');
  await hasBegun();
  await world.stopServer();
  await closeAsLost(id);
  await world.startServer();
  const again = await world.request('backup', 'slow');
  await hasBegun(2);
  letGo();
  expect(await world.ended(again)).toMatchObject({ state: 'succeeded' });
  expect(await world.ended(id)).toMatchObject({ state: 'failed' });
});

test('a backup that ended well after its run was closed as lost is told of', async () => {
  const id = await world.request('backup', 'slow');
  await hasBegun();
  await world.stopServer();
  letGo();
  await until('it ended', () => results().some((name) => name.endsWith('.json')));
  await closeAsLost(id);
  await world.startServer();
  await until('somebody is told', async () => (await happened('run.warning')).length > 0);
  expect(await happened('run.warning')).toEqual(['the backup of slow that was closed as lost had ended well']);
  const run = await world.ended(id);
  expect(run.state, 'what was decided stays').toBe('failed');
  expect(await logOf(run)).toContain('was heard of again');
  await until('the agent forgot it', () => results().length === 0);
});

test('cancelling reaches the agent and what it started', async () => {
  const id = await world.request('backup', 'slow');
  await hasBegun();
  expect(isReading()).toBe(true);
  await world.cancel(id);
  expect(await world.ended(id)).toMatchObject({ state: 'cancelled' });
  expect(isReading()).toBe(false);
});

test('an agent that is stopped ends its runs, and says so', async () => {
  const id = await world.request('backup', 'slow');
  await hasBegun();
  await world.stopAgent();
  expect(isReading()).toBe(false);
  expect(await world.ended(id)).toMatchObject({ state: 'failed', error: { code: 'agent.away' } });
  world.startAgent();
});

test('a run for an agent that is away fails with what to do; that it is lost and back is told once', async () => {
  const told = async () => [(await happened('agent.lost')).length, (await happened('agent.returned')).length];
  const [lost, returned] = await told();
  await world.stopAgent();
  const run = await world.run('backup', 'data');
  expect(run).toMatchObject({ state: 'failed', error: { code: 'agent.away' } });
  await until('that it is lost is told', async () => (await told())[0] > lost);
  world.startAgent();
  await until('that it is back is told', async () => (await told())[1] > returned);
  expect(await told()).toEqual([lost + 1, returned + 1]);
});

test('one state is one agent: a second process is refused', async () => {
  const { runAgent } = await import('../../src/agent/run-agent.ts');
  const { systemClock } = await import('../../src/base/clock.ts');
  const { parts } = await import('./agent-world.ts');
  const options = { parts, stateDirectory: world.path('agent'), env: {}, clock: systemClock, log: world.log };
  await expect(runAgent({ ...options, signal: new AbortController().signal })).rejects.toThrow('runs already');
});
