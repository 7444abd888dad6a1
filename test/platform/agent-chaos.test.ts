/**
 * A server that lets agents in, a second worker and an agent, each killed with SIGKILL or cut off the network at random, in
 * network namespaces; PostgreSQL and pg-boss between them, the repository behind HTTP: everything converges, nothing that was
 * acknowledged is lost, and no source is read twice at once.
 *
 *     AGENT_CHAOS=100 FIGURES=1 vitest run --project platform test/platform/agent-chaos.test.ts --testTimeout 3600000
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { joinServer } from '../../src/agent/join.ts';
import { issueAgentToken } from '../../src/auth/agents/issue-token.ts';
import { type Catalogue, openCatalogue } from '../../src/catalogue/open.ts';
import { insertDueRun } from '../../src/catalogue/runs.ts';
import { Trial } from '../e2e/trial.ts';
import { freePort } from '../servers/free-port.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { type RcloneServer, startRclone } from '../servers/rclone.ts';
import { initCheaply } from '../support/cheap-repository.ts';
import { type Cabled, Network } from '../support/namespaces.ts';

const blows = Number(process.env.AGENT_CHAOS ?? 2);
const leaseMs = 3000;
const script = (name: string): string => fileURLToPath(new URL(`../support/${name}`, import.meta.url));

interface Machine {
  readonly argv: readonly string[];
  readonly cable?: Cabled;
  readonly env: Readonly<Record<string, string | undefined>>;
  child?: ChildProcess;
  ended: Promise<unknown>;
  said: string;
}

let network: Network;
let postgres: PostgresServer;
let rest: RcloneServer;
let catalogue: Catalogue;
let trial: Trial;
let machines: { server: Machine; worker: Machine; agent: Machine };

beforeAll(async () => {
  network = new Network();
  const { address, range } = network;
  const access = `local all all trust\nhost all all 127.0.0.1/32 trust\nhost all all ${address}/32 trust\nhost all all ${range} trust\n`;
  postgres = await startPostgres({ access, options: { listen_addresses: `127.0.0.1,${address}` } });
  trial = new Trial();
  trial.write('pw', 'chaos');
  await initCheaply(trial.path('repo'), 'chaos');
  rest = await startRclone({ protocol: 'restic', directory: trial.path('repo') });
  const restPort = await passOn(address, rest.port);
  const url = `postgres://postgres@${address}:${postgres.port}/postgres`;
  const config = `server:
  catalogue: { postgres: "${url}" }
  limits: { runs: 6, perHost: 4, perRepository: 8 }
hosts: { far: { agent: far } }
repositories: { main: { url: "rest:http://${address}:${restPort}/", password: { file: pw } } }
policies: { often: { retry: { attempts: 20, delay: 1s }, repositories: [main] } }
sources:
  far-one: { driver: command, host: far, shell: ${JSON.stringify(shellOf('far-one'))}, policy: often }
  far-two: { driver: command, host: far, shell: ${JSON.stringify(shellOf('far-two'))}, policy: often }
  near: { driver: command, shell: ${JSON.stringify(shellOf('near'))}, policy: often }
`;
  trial.write('holdfast.yaml', config);
  catalogue = await openCatalogue({ kind: 'postgres', url }, () => Date.now());
  await meet(address);
}, 180_000);

/** What listens here only, for those elsewhere. */
async function passOn(address: string, to: number): Promise<number> {
  const relay = createServer((near) => {
    const far = connect(to, '127.0.0.1');
    for (const [one, other] of [
      [near, far],
      [far, near],
    ]) {
      one.pipe(other);
      one.on('error', () => other.destroy()).on('close', () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => relay.listen(0, address, resolve));
  relay.unref();
  return (relay.address() as AddressInfo).port;
}

/** Who takes part; the agent joins while the server runs. */
async function meet(address: string): Promise<void> {
  const port = await freePort();
  const machine = (argv: readonly string[], state: string, cable?: Cabled): Machine => ({
    ...{ argv, cable, ended: Promise.resolve(), said: '' },
    env: { ...trial.env, HOLDFAST_STATE: trial.path(state), HOLDFAST_CACHE: 'off' },
  });
  const serving = [
    script('agent-process.ts'),
    'server',
    trial.path('holdfast.yaml'),
    String(leaseMs),
    String(port),
    address,
  ];
  const working = [script('worker-process.ts'), trial.path('holdfast.yaml'), '2', String(leaseMs)];
  machines = {
    server: machine(serving, 'server'),
    worker: machine(working, 'worker', network.add('worker')),
    agent: machine([script('agent-process.ts'), 'agent'], 'agent', network.add('agent')),
  };
  await start(machines.server);
  const directory = trial.path('server');
  const asked = {
    catalogue,
    directory,
    nowMs: Date.now(),
    agent: 'far',
    replace: false,
    address: `${address}:${port}`,
  };
  const { token } = await issueAgentToken(asked);
  await joinServer({ token: token.reveal(), stateDirectory: trial.path('agent'), replace: false });
  await Promise.all([start(machines.worker), start(machines.agent)]);
}

afterAll(async () => {
  for (const machine of Object.values(machines ?? {})) await kill(machine);
  await catalogue?.[Symbol.asyncDispose]();
  await rest?.[Symbol.asyncDispose]();
  await postgres?.[Symbol.asyncDispose]();
  trial?.dispose();
  network?.[Symbol.dispose]();
});

/**
 * Tells when another one reads the same source. Ends by itself when who started it was killed, as whatever writes into a pipe
 * does; nothing of it outlives that for longer than a twentieth of a second.
 */
function shellOf(name: string): string {
  const lock = trial.path(`${name}.lock`);
  const conflict = `echo ${name} >> ${trial.path('conflicts')}; exit 9`;
  const wait = `[ "$(awk '{print $4}' /proc/$$/stat)" = $PPID ] || exit 3; sleep 0.05 9>&-`;
  return `exec 9>${lock}; flock -n 9 || { ${conflict}; }; i=0; while [ $i -lt 12 ]; do ${wait}; i=$((i+1)); done; date +%s%N`;
}

async function start(machine: Machine): Promise<void> {
  const [program, ...argv] = [...(machine.cable?.prefix ?? []), process.execPath, ...machine.argv];
  const child = spawn(program, argv, { env: machine.env, stdio: ['ignore', 'pipe', 'pipe'] });
  Object.assign(machine, { child, ended: once(child, 'exit'), said: '' });
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      machine.said = (machine.said + text).slice(-20_000);
    });
  }
  await until(() => machine.said.includes('ready\n') || child.exitCode !== null, 'a program starts');
  if (child.exitCode !== null) throw new Error(machine.said);
}

async function kill(machine: Machine, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  const { child } = machine;
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  // `ip netns exec` becomes the program: it is killed itself.
  child.kill(signal);
  await machine.ended;
}

async function until(isSo: () => boolean | Promise<boolean>, what: string, patienceMs = 120_000): Promise<void> {
  const end = Date.now() + patienceMs;
  while (!(await isSo())) {
    if (Date.now() > end)
      throw new Error(
        `waited in vain until ${what}\n${Object.values(machines ?? {})
          .map((one) => one.said.slice(-3000))
          .join('\n')}`,
      );
    await sleep(100);
  }
}

async function succeeded(source?: string): Promise<number> {
  const rows = await catalogue.db.selectFrom('run').select(['state', 'source']).execute();
  return rows.filter((row) => row.state === 'succeeded' && (source === undefined || row.source === source)).length;
}

const any = <T>(all: readonly T[]): T => all[Math.floor(Math.random() * all.length)];

/** One thing goes wrong, and is made good a while later. */
async function blow(counts: Record<string, number>): Promise<void> {
  const kind = any(['kill server', 'kill worker', 'kill agent', 'cut agent', 'cut worker', 'cut agent']);
  counts[kind] = (counts[kind] ?? 0) + 1;
  const machine = machines[kind.split(' ')[1] as keyof typeof machines];
  if (kind.startsWith('kill')) {
    await kill(machine);
    await sleep(Math.random() * 1500);
    await start(machine);
    return;
  }
  machine.cable!.pull();
  await sleep(Math.random() * 7000);
  machine.cable!.plug();
}

test(
  `${blows} blows lose nothing and double nothing`,
  async () => {
    const counts: Record<string, number> = {};
    const enough = new AbortController();
    const asking = keepAsking(enough.signal);
    await until(async () => (await succeeded('far-one')) > 0, 'the agent does something');
    for (let i = 0; i < blows; i++) {
      await sleep(Math.random() * 2000);
      await blow(counts);
    }
    for (const source of ['far-one', 'far-two', 'near']) {
      const before = await succeeded(source);
      await until(async () => (await succeeded(source)) >= before + 1, `work goes on with ${source}`);
    }
    enough.abort();
    await asking;
    await quieten();
    const states = await catalogue.db.selectFrom('run').select(['state', 'errorCode']).execute();
    const figures = Object.fromEntries(
      [...Map.groupBy(states, (one) => `${one.state} ${one.errorCode ?? ''}`)].map(([state, all]) => [
        state,
        all.length,
      ]),
    );
    if (process.env.FIGURES) console.log(JSON.stringify({ blows, counts, figures }));
    expect(existsSync(trial.path('conflicts')) ? readFileSync(trial.path('conflicts'), 'utf8') : '').toBe('');
    expect(await ranTwice()).toEqual([]);
    expect(await missing(), 'acknowledged, and not in the repository').toEqual([]);
    expect(restic('check')).toContain('no errors were found');
  },
  300_000 + blows * 40_000,
);

/** As a schedule would: of each source one is open at any time, until the signal. */
async function keepAsking(signal: AbortSignal): Promise<void> {
  for (let slotMs = Date.now(); !signal.aborted; slotMs = Date.now()) {
    const rows = await catalogue.db
      .selectFrom('run')
      .select('source')
      .where('state', 'in', ['queued', 'running'])
      .execute();
    const open = new Set(rows.map((row) => row.source));
    for (const source of ['far-one', 'far-two', 'near'].filter((one) => !open.has(one))) {
      await insertDueRun(catalogue, {
        ...{ kind: 'backup', source, host: source === 'near' ? 'local' : 'far', policy: 'often', input: {} },
        ...{ trigger: 'schedule', askedBy: 'schedule', slotMs, slotKey: `${source}@${slotMs}`, notBeforeMs: slotMs },
      });
    }
    await sleep(300);
  }
}

/** Nothing new is due; what is open comes to its end. */
async function quieten(): Promise<void> {
  await Promise.all([kill(machines.server, 'SIGTERM'), kill(machines.worker, 'SIGTERM')]);
  await start(machines.server);
  const open = async (): Promise<number> => {
    const rows = await catalogue.db
      .selectFrom('run')
      .select('id')
      .where('state', 'in', ['queued', 'running'])
      .execute();
    return rows.length;
  };
  await until(async () => (await open()) === 0, 'everything has ended');
}

/** Slots of which more than one run succeeded. */
async function ranTwice(): Promise<unknown[]> {
  return await catalogue.db
    .selectFrom('run')
    .select((eb) => ['source', 'slotMs', eb.fn.countAll<number>().as('count')])
    .where('state', '=', 'succeeded')
    .groupBy(['source', 'slotMs'])
    .having((eb) => eb.fn.countAll(), '>', 1)
    .execute();
}

async function missing(): Promise<string[]> {
  const stored = new Set((JSON.parse(restic('snapshots', '--json')) as { id: string }[]).map(({ id }) => id));
  const runs = await catalogue.db
    .selectFrom('run')
    .select(['id', 'snapshot'])
    .where('state', '=', 'succeeded')
    .execute();
  expect(runs.length).toBeGreaterThan(0);
  return runs.filter(({ snapshot }) => snapshot === null || !stored.has(snapshot)).map(({ id }) => id);
}

function restic(...argv: string[]): string {
  const env = { ...process.env, RESTIC_PASSWORD: 'chaos' };
  return execFileSync('restic', ['-r', trial.path('repo'), '--no-cache', '--no-lock', ...argv], {
    env,
    encoding: 'utf8',
  });
}
