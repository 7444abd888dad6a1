/**
 * Workers as processes of their own, on PostgreSQL and pg-boss, killed with SIGKILL at random: nothing is done twice at once
 * with one source, nothing is left running, and a service that was stopped for a backup runs again.
 *
 *     KILLS=100 vitest run --project platform test/platform/workers.test.ts --testTimeout 3600000
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Catalogue } from '../../src/catalogue/open.ts';
import { insertDueRun } from '../../src/catalogue/runs.ts';
import { knownWindows } from '../../src/runs/window/index.ts';
import { Trial } from '../e2e/trial.ts';
import { type CataloguePlace, makePostgresPlace } from '../support/catalogues.ts';
import { initCheaply } from '../support/cheap-repository.ts';

const kills = Number(process.env.KILLS ?? 2);
const leaseMs = 4000;
const names = ['one', 'two', 'three', 'four'];
const script = fileURLToPath(new URL('../support/worker-process.ts', import.meta.url));

const systemctl = `#!/bin/sh
units=$(dirname "$0")/../units
for unit; do :; done
case $1 in
  show) echo LoadState=loaded; echo "ActiveState=$(cat "$units/$unit")" ;;
  stop) echo inactive > "$units/$unit"; echo stop >> "$units/log" ;;
  start) echo active > "$units/$unit"; echo start >> "$units/log" ;;
esac
`;

let place: CataloguePlace;
let catalogue: Catalogue;
let trial: Trial;
const workers: Worker[] = [];
let longestStartMs = 0;

interface Worker {
  readonly child: ChildProcess;
  readonly ended: Promise<unknown>;
  said: string;
}

beforeAll(async () => {
  place = await makePostgresPlace(15);
  const address = await place.address();
  if (address.kind !== 'postgres') throw new Error('not PostgreSQL');
  catalogue = await place.open(address);
  trial = new Trial();
  trial.write('bin/systemctl', systemctl);
  chmodSync(trial.path('bin/systemctl'), 0o755);
  trial.write('units/app', 'active\n');
  trial.write('pw', 'workers');
  const sources = names.map((name) => {
    const window = name === 'one' ? ', window: { before: [{ stop: { service: app } }] }' : '';
    return `  ${name}: { driver: command, shell: ${JSON.stringify(shellOf(name))}, policy: often${window} }`;
  });
  trial.write(
    'holdfast.yaml',
    `server:
  catalogue: { postgres: "${address.url}" }
  limits: { runs: 4, perHost: 4, perRepository: 8 }
repositories:
  main: { url: ${trial.path('repo')}, password: { file: pw }, prune: { schedule: "* * * * *" } }
policies:
  often:
    every: 1d
    retry: { attempts: 20, delay: 1s }
    repositories: [{ name: main, keep: { last: 5 } }]
sources:
${sources.join('\n')}
`,
  );
  await initCheaply(trial.path('repo'), 'workers');
}, 120_000);

afterAll(async () => {
  for (const { child, ended } of workers) {
    child.kill('SIGKILL');
    await ended;
  }
  await place?.[Symbol.asyncDispose]();
  trial?.dispose();
});

/** Refuses to go on beside another one with the same source, and tells of it. */
function shellOf(name: string): string {
  const lock = trial.path(`${name}.lock`);
  const conflict = `echo ${name} >> ${trial.path('conflicts')}; exit 9`;
  return `exec 9>${lock}; flock -n 9 || { ${conflict}; }; echo begin; sleep 0.5; date +%N; echo ${name} >> ${trial.path('done')}`;
}

async function startWorker(): Promise<Worker> {
  const env = { ...trial.env, PATH: `${trial.path('bin')}:${process.env.PATH}` };
  const argv = [script, trial.path('holdfast.yaml'), '2', String(leaseMs)];
  const child = spawn(process.execPath, argv, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const worker: Worker = { child, ended: once(child, 'exit'), said: '' };
  const begun = Date.now();
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      worker.said += text;
    });
  }
  workers.push(worker);
  await until(() => worker.said.includes('ready') || child.exitCode !== null, 'a worker starts');
  if (child.exitCode !== null) throw new Error(worker.said);
  longestStartMs = Math.max(longestStartMs, Date.now() - begun);
  return worker;
}

async function until(isSo: () => boolean | Promise<boolean>, what: string, patienceMs = 240_000): Promise<void> {
  const end = Date.now() + patienceMs;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
    await sleep(100);
  }
}

/** Every source is due every second or so, as if its schedule said so. */
async function keepDue(signal: AbortSignal): Promise<void> {
  const usual = { kind: 'backup', host: 'local', policy: 'often', trigger: 'schedule', askedBy: 'schedule' } as const;
  while (!signal.aborted) {
    const slotMs = Date.now();
    for (const source of names)
      await insertDueRun(catalogue, { ...usual, source, slotMs, slotKey: `often/${source}@${slotMs}` });
    await sleep(1500, undefined, { signal }).catch(() => undefined);
  }
}

async function statesOf(): Promise<Record<string, number>> {
  const rows = await catalogue.db.selectFrom('run').select(['kind', 'state']).execute();
  return Object.fromEntries([...Map.groupBy(rows, (row) => row.state)].map(([state, group]) => [state, group.length]));
}

test(
  `${kills} kills lose nothing and double nothing`,
  async () => {
    const feeding = new AbortController();
    const fed = keepDue(feeding.signal);
    const alive = [await startWorker(), await startWorker()];
    for (let i = 0; i < kills; i++) {
      await until(async () => ((await statesOf()).running ?? 0) > 0, 'something runs');
      await sleep(Math.random() * 900);
      const [victim] = alive.splice(Math.floor(Math.random() * 2), 1);
      victim.child.kill('SIGKILL');
      await victim.ended;
      alive.push(await startWorker());
    }
    const before = (await statesOf()).succeeded ?? 0;
    await until(async () => ((await statesOf()).succeeded ?? 0) >= before + 8, 'work goes on');
    await until(async () => (await expired()) === 0, 'what was lost is closed', 3 * leaseMs + 60_000);
    await until(
      async () => (await knownWindows(catalogue)).left.length === 0,
      'what was left stopped is started',
      60_000,
    );
    feeding.abort();
    await fed;
    for (const { child } of alive) child.kill('SIGTERM');
    for (const worker of alive) {
      await worker.ended;
      expect(worker.said).toContain('stopped');
    }
    const states = await statesOf();
    if (process.env.FIGURES) console.log(JSON.stringify({ kills, longestStartMs, states, ...(await figures()) }));
    expect(states.running ?? 0).toBe(0);
    expect(existsSync(trial.path('conflicts'))).toBe(false);
    expect(readFileSync(trial.path('units/app'), 'utf8').trim()).toBe('active');
    expect(
      readFileSync(trial.path('units/log'), 'utf8')
        .split('\n')
        .filter((word) => word === 'stop').length,
    ).toBeGreaterThan(0);
    expect(await ranTwice()).toEqual([]);
    expect(await endsWithoutOneEvent()).toEqual([]);
    const check = await trial.run(['repo', 'check', 'main']);
    expect(check.status, check.stderr).toBe(0);
  },
  240_000 + kills * 30_000,
);

/** Runs whose holder is gone and which nobody has closed. */
async function expired(): Promise<number> {
  const nowMs = await catalogue.nowMs();
  const rows = await catalogue.db.selectFrom('run').select('leaseUntilMs').where('state', '=', 'running').execute();
  return rows.filter((row) => (row.leaseUntilMs ?? 0) < nowMs).length;
}

/** Slots of which more than one run succeeded. */
async function ranTwice(): Promise<unknown[]> {
  return await catalogue.db
    .selectFrom('run')
    .select((eb) => ['source', 'slotMs', eb.fn.countAll<number>().as('count')])
    .where('kind', '=', 'backup')
    .where('state', '=', 'succeeded')
    .groupBy(['source', 'slotMs'])
    .having((eb) => eb.fn.countAll(), '>', 1)
    .execute();
}

async function endsWithoutOneEvent(): Promise<string[]> {
  const runs = await catalogue.db.selectFrom('run').select(['id', 'state', 'kind']).execute();
  const events = await catalogue.db
    .selectFrom('happening')
    .select(['run', 'type'])
    .where('type', 'not in', ['run.warning', 'service.stopped', 'service.started'])
    .execute();
  const byRun = Map.groupBy(events, (event) => event.run);
  const ended = runs.filter(({ state }) => state !== 'queued' && state !== 'running');
  return ended.filter(({ id }) => byRun.get(id)?.length !== 1).map(({ id, state, kind }) => `${kind} ${id} ${state}`);
}

async function figures(): Promise<Record<string, number>> {
  const lost = await catalogue.db.selectFrom('run').select('id').where('errorCode', '=', 'run.lost').execute();
  return { lost: lost.length };
}
