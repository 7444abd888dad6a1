/** A server for agents and an agent, in this process, over real TLS on a loopback port; each in a folder of its own. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { pino } from 'pino';
import { joinServer } from '../../src/agent/join.ts';
import { runAgent } from '../../src/agent/run-agent.ts';
import { openAuthority } from '../../src/auth/agents/authority.ts';
import { createEnrolment } from '../../src/auth/agents/enrolment.ts';
import { systemClock } from '../../src/base/clock.ts';
import { type Catalogue, openCatalogue } from '../../src/catalogue/open.ts';
import { getRun, insertRun, requestCancel } from '../../src/catalogue/runs.ts';
import { parseConfig } from '../../src/config/index.ts';
import { type GateHere, openGateHere } from '../../src/daemon/agents/gate-here.ts';
import { drivers } from '../../src/drivers/registry.ts';
import { hostKinds, localHost, openContainerEngine } from '../../src/hosts/registry.ts';
import { finalStates, type RunKind, type RunRecord } from '../../src/model/run-record.ts';
import type { SourceAccess } from '../../src/operations/operation.ts';
import { startRunsHere } from '../../src/operations/runs/runs-here.ts';
import { fingerprintOf } from '../../src/protocols/agent/certificates.ts';
import { formatToken } from '../../src/protocols/agent/enrolment-token.ts';
import type { Execute } from '../../src/runs/execute.ts';
import { storageKinds } from '../../src/storage/registry.ts';
import { initCheaply } from '../support/cheap-repository.ts';

export const quick = {
  link: { heartbeatMs: 200, silenceMs: 1000 },
  desk: { awayMs: 4000, goneMs: 8000, endMs: 2000 },
  lostMs: 1500,
};

const local = localHost();
export const parts = {
  ...{ drivers, storageKinds, hostKinds, channelKinds: [], localHost: () => local },
  openContainers: async () => await openContainerEngine(),
};

export class AgentWorld implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'holdfast-agent-'));
  readonly logs: string[] = [];
  readonly log = pino({ level: 'debug', base: null }, { write: (line: string) => void this.logs.push(line) });
  catalogue!: Catalogue;
  access!: SourceAccess;
  #server: { gate: GateHere; runs: Awaited<ReturnType<typeof startRunsHere>> } | undefined;
  #port = 0;
  readonly #agents = new Map<string, { stop: AbortController; ended: Promise<void> }>();

  static async open(sources: string): Promise<AgentWorld> {
    const world = new AgentWorld();
    const { folder } = world;
    mkdirSync(join(folder, 'data'));
    writeFileSync(join(folder, 'data/one'), 'content of one');
    writeFileSync(join(folder, 'repo.key'), 'correct horse battery');
    world.configure(sources);
    world.catalogue = await openCatalogue({ kind: 'sqlite', path: join(folder, 'catalogue.db') }, () => Date.now());
    await initCheaply(join(folder, 'store'), 'correct horse battery');
    await world.startServer();
    return world;
  }

  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  configure(sources: string): void {
    const text = `
server: { agents: { listen: "127.0.0.1:${this.#port}", names: [127.0.0.1, localhost] } }
repositories:
  store: { url: ${this.path('store')}, password: { file: ${this.path('repo.key')} } }
hosts: { far: { agent: far } }
policies: { usual: { repositories: [store], retry: { attempts: 3, delay: 1s } } }
sources:
${sources.replaceAll('$FOLDER', this.folder)}
`;
    const env = { ...process.env, HOLDFAST_STATE: this.path('server'), SHOP_PASSWORD: 'a secret of the server' };
    this.access = { ...parts, config: parseConfig(this.path('holdfast.yaml'), Buffer.from(text), parts), env };
  }

  async startServer(
    elsewhere: (run: RunRecord, perform: Execute) => Execute = (_run, perform) => perform,
  ): Promise<void> {
    const { catalogue, log } = this;
    const access = (): SourceAccess => this.access;
    const execution = { clock: systemClock, signal: new AbortController().signal };
    const started = Promise.withResolvers<Awaited<ReturnType<typeof startRunsHere>>>();
    const listen = { host: '127.0.0.1', port: this.#port };
    const gate = await openGateHere({
      ...{ catalogue, access, log, runs: started.promise, clock: systemClock },
      settings: { listen, names: ['127.0.0.1', 'localhost'] },
      timing: quick,
    });
    this.#port = gate.port;
    const far = (run: RunRecord): Execute | undefined => {
      const perform = gate.elsewhere(run);
      return perform && elsewhere(run, perform);
    };
    const runs = await startRunsHere({ catalogue, access, execution, log, elsewhere: far });
    started.resolve(runs);
    this.#server = { gate, runs };
  }

  get gate(): GateHere {
    return this.#server!.gate;
  }

  get port(): number {
    return this.#port;
  }

  async stopServer(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    await server?.runs[Symbol.asyncDispose]();
    await server?.gate[Symbol.asyncDispose]();
  }

  async token(agent = 'far', { replace = false, port = this.#port, fingerprint = '' } = {}): Promise<string> {
    const { secret } = await createEnrolment(this.catalogue, { agent, replace });
    const place = { directory: this.path('server'), nowMs: Date.now(), mayMake: async () => true };
    const own = fingerprintOf((await openAuthority(place)).certificate);
    return formatToken({ address: `127.0.0.1:${port}`, fingerprint: fingerprint || own, name: agent, secret });
  }

  async join(state = 'agent', token?: string): Promise<void> {
    await joinServer({ token: token ?? (await this.token()), stateDirectory: this.path(state), replace: false });
  }

  /** Runs in the background until it is stopped. */
  startAgent(state = 'agent'): void {
    const stop = new AbortController();
    const env = { ...process.env, HOLDFAST_CACHE: 'off' };
    const options = { parts, stateDirectory: this.path(state), env, clock: systemClock, signal: stop.signal };
    const ended = runAgent({ ...options, log: this.log.child({ side: state }), timing: quick.link });
    ended.catch(() => undefined);
    this.#agents.set(state, { stop, ended });
  }

  async stopAgent(state = 'agent'): Promise<void> {
    const agent = this.#agents.get(state);
    this.#agents.delete(state);
    agent?.stop.abort();
    await agent?.ended;
  }

  async connected(name = 'far'): Promise<void> {
    await until(`the agent ${name} is connected`, () => this.gate.connected.includes(name));
  }

  async request(kind: RunKind, source: string, input: RunRecord['input'] = {}): Promise<string> {
    const nowMs = await this.catalogue.nowMs();
    const run = await insertRun(this.catalogue, {
      ...{ kind, source, host: 'far', policy: 'usual', trigger: 'manual', askedBy: 'test', input },
      ...{ notBeforeMs: nowMs },
    });
    return run.id;
  }

  /** Queues a run and waits for its end. */
  async run(kind: RunKind, source: string, input: RunRecord['input'] = {}): Promise<RunRecord> {
    return await this.ended(await this.request(kind, source, input));
  }

  async cancel(id: string): Promise<void> {
    await requestCancel(this.catalogue, { id, by: 'anna' });
    this.#server?.runs.cancel(id);
  }

  async ended(id: string): Promise<RunRecord> {
    let run: RunRecord | undefined;
    await until(`the run ${id} ended`, async () => {
      run = await getRun(this.catalogue, id);
      return run !== undefined && finalStates.has(run.state);
    });
    return run!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const state of [...this.#agents.keys()]) await this.stopAgent(state);
    await this.stopServer();
    await this.catalogue[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export async function until(what: string, isSo: () => boolean | Promise<boolean>, timeoutMs = 30_000): Promise<void> {
  const endMs = Date.now() + timeoutMs;
  while (!(await isSo())) {
    if (Date.now() > endMs) throw new Error(`in vain: ${what}`);
    await setTimeout(20);
  }
}

export function exists(path: string): boolean {
  return existsSync(path);
}
