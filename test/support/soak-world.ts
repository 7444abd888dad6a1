/** A simulated installation: sources, policies in several zones, operations that take their time, fail and hang; processes that die. */

import { HoldfastError } from '../../src/base/errors.ts';
import type { Log } from '../../src/base/log.ts';
import { type Catalogue, openCatalogue } from '../../src/catalogue/open.ts';
import type { PolicyEntry, RepositoryEntry, SourceEntry } from '../../src/config/index.ts';
import { type Config, emptyConfig } from '../../src/config/index.ts';
import type { Retention } from '../../src/model/policy.ts';
import type { RunRecord } from '../../src/model/run-record.ts';
import { planRuns } from '../../src/operations/runs/plan-runs.ts';
import { applyRetention } from '../../src/policy/retention.ts';
import type { RunPlan } from '../../src/policy/run-plan.ts';
import type { ExecuteUses, Performed } from '../../src/runs/execute.ts';
import { EmbeddedQueue } from '../../src/runs/queue/embedded-queue.ts';
import { Scheduler } from '../../src/runs/schedule/scheduler.ts';
import { Worker } from '../../src/runs/worker/worker.ts';
import { currentMortal, kill, liveAs, type Mortal, mortal, mortalCatalogue, mortalClock } from './mortal.ts';
import { SimulatedClock } from './simulated-clock.ts';
import { judgeSoak, type SoakFacts } from './soak-judge.ts';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

export interface SoakOptions {
  readonly sources: number;
  readonly days: number;
  readonly seed: number;
  readonly startMs: number;
  /** Told after each day, how many have gone by. */
  readonly lived?: (days: number) => void;
}

export interface SimulatedSnapshot {
  readonly id: string;
  readonly time: string;
  readonly timeMs: number;
}

/** What really happened in the simulated world, whatever the catalogue says. */
export interface World {
  /** Ids of runs that were begun, each as often as it was. */
  readonly begun: string[];
  /** Run by source, while it is worked on. */
  readonly active: Map<string, { readonly run: string; readonly by: Mortal }>;
  /** Two things at once with one source, and the like. */
  readonly problems: string[];
  /** All that were ever made, and those that are left. */
  readonly made: Map<string, SimulatedSnapshot[]>;
  readonly kept: Map<string, SimulatedSnapshot[]>;
  /** By source: how many had been made when its rules were applied last. */
  readonly forgotAt: Map<string, number>;
  /** The most runs at once. */
  most: number;
}

export const keep: Retention = { daily: 7, weekly: 4, monthly: 3 };

export async function makeSoak(
  options: SoakOptions,
): Promise<AsyncDisposable & { live(): Promise<void>; judge(): Promise<SoakFacts> }> {
  const clock = new SimulatedClock(options.startMs);
  const catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => clock.nowMs());
  const soak = new Soak(options, clock, catalogue);
  return {
    live: () => soak.live(),
    judge: () => soak.judge(),
    [Symbol.asyncDispose]: () => catalogue[Symbol.asyncDispose](),
  };
}

class Soak {
  readonly #options: SoakOptions;
  readonly #clock: SimulatedClock;
  readonly #catalogue: Catalogue;
  readonly #random: () => number;
  readonly #world: World = {
    begun: [],
    active: new Map(),
    problems: [],
    made: new Map(),
    kept: new Map(),
    forgotAt: new Map(),
    most: 0,
  };
  readonly #deaths = { scheduler: 0, worker: 0 };
  readonly #full: RunPlan;
  #plan: RunPlan;
  #isPeaceful = false;
  #endMs = 0;

  constructor(options: SoakOptions, clock: SimulatedClock, catalogue: Catalogue) {
    this.#options = options;
    this.#clock = clock;
    this.#catalogue = mortalCatalogue(catalogue);
    this.#random = mulberry(options.seed);
    this.#full = planRuns(configOf(options.sources));
    this.#plan = this.#full;
  }

  async live(): Promise<void> {
    const { startMs, days } = this.#options;
    const queue = new EmbeddedQueue(mortalClock(this.#clock));
    const births = [
      this.#keepAlive('scheduler', (name) => this.#beScheduler(name, queue)),
      this.#keepAlive('scheduler', (name) => this.#beScheduler(name, queue)),
      this.#keepAlive('worker', (name) => this.#beWorker(name, queue)),
      this.#keepAlive('worker', (name) => this.#beWorker(name, queue)),
    ];
    for (const birth of births) birth.catch((error: unknown) => this.#world.problems.push(String(error)));
    for (let lived = 1; lived <= days; lived++) {
      await this.#clock.advance(startMs + lived * day);
      this.#options.lived?.(lived);
    }
    // From here on nobody dies any more; when all was looked at, nothing new is due.
    this.#isPeaceful = true;
    this.#endMs = startMs + days * day + 6 * hour + 17 * minute;
    await this.#clock.advance(this.#endMs);
    this.#plan = { ...this.#full, schedules: [] };
    await this.#clock.advance(this.#endMs + 2 * day);
  }

  async judge(): Promise<SoakFacts> {
    return await judgeSoak({
      catalogue: this.#catalogue,
      world: this.#world,
      plan: this.#full,
      startMs: this.#options.startMs,
      endMs: this.#endMs,
      deaths: this.#deaths,
    });
  }

  /** One after another, with gaps: mostly short, sometimes for days. */
  async #keepAlive(kind: 'scheduler' | 'worker', begin: (name: string) => void): Promise<void> {
    for (let i = 0; ; i++) {
      const name = `${kind}-${Math.floor(this.#random() * 1e9)}-${i}`;
      const died = Promise.withResolvers<void>();
      const one = mortal(name, () => {
        this.#deaths[kind]++;
        for (const [source, { by }] of this.#world.active) if (by === one) this.#world.active.delete(source);
        died.resolve();
      });
      liveAs(one, () => begin(name));
      await this.#letLive(one, died.promise);
      await died.promise;
      await this.#clock.sleep(this.#isPeaceful ? minute : this.#downtimeMs());
    }
  }

  async #letLive(one: Mortal, died: Promise<void>): Promise<void> {
    if (this.#isPeaceful) return;
    if (this.#random() < 0.5) {
      one.statementsLeft = Math.floor(this.#random() * 4000);
      one.diesAfter = this.#random() < 0.5;
      // It may never send so many.
      await Promise.race([died, this.#clock.sleep(4 * day)]);
    } else await this.#clock.sleep(this.#random() * 3 * day);
    if (this.#isPeaceful) one.statementsLeft = Number.POSITIVE_INFINITY;
    else kill(one);
  }

  #downtimeMs(): number {
    const dice = this.#random();
    if (dice < 0.7) return this.#random() * 10 * minute;
    return dice < 0.95 ? this.#random() * 6 * hour : this.#random() * 4 * day;
  }

  #parts(name: string, queue: EmbeddedQueue) {
    const log: Pick<Log, 'warn'> = { warn: () => undefined };
    const plan = (): RunPlan => this.#plan;
    return {
      catalogue: this.#catalogue,
      clock: mortalClock(this.#clock),
      log,
      name,
      plan,
      queue,
      leaseMs: 20 * minute,
    };
  }

  #beScheduler(name: string, queue: EmbeddedQueue): void {
    const scheduler = new Scheduler({ ...this.#parts(name, queue), pollMs: 15 * minute, laneOf: () => 'any' });
    scheduler.run(new AbortController().signal).catch(() => undefined); // it died
  }

  #beWorker(name: string, queue: EmbeddedQueue): void {
    const execute = (run: RunRecord, uses: ExecuteUses): Promise<Performed> => this.#execute(run, uses);
    new Worker({ ...this.#parts(name, queue), execute, capacity: 6, lanes: ['any'] }).start();
  }

  async #execute(run: RunRecord, { clock, signal, report }: ExecuteUses): Promise<Performed> {
    const by = currentMortal()!;
    const { active, begun, problems } = this.#world;
    begun.push(run.id);
    const subject = run.source ?? `repository ${run.repository}`;
    const other = active.get(subject);
    if (other) problems.push(`${run.id} and ${other.run} at once with ${subject}`);
    active.set(subject, { run: run.id, by });
    this.#world.most = Math.max(this.#world.most, active.size);
    try {
      return await this.#operate(run, { clock, signal, report });
    } finally {
      if (active.get(subject)?.run === run.id) active.delete(subject);
    }
  }

  async #operate(run: RunRecord, { clock, signal, report }: ExecuteUses): Promise<Performed> {
    const dice = this.#random();
    if (dice < 0.003) await clock.sleep(100 * day, { signal });
    const lengthMs = this.#lengthMs(run);
    for (let part = 1; part <= 3; part++) {
      await clock.sleep(lengthMs / 3, { signal });
      report({ type: 'progress', stage: run.kind, bytesDone: part });
    }
    if (dice < 0.05) throw failure('storage.unreachable', 'later');
    if (dice < 0.06) throw failure('repository.wrong-password', 'never');
    if (run.kind === 'forget') this.#forget(run);
    return run.kind === 'backup' ? this.#store(run) : { ok: true };
  }

  #lengthMs({ kind }: RunRecord): number {
    if (kind === 'forget') return 10_000;
    return kind === 'backup' ? (1 + this.#random() * 20) * minute : (5 + this.#random() * 60) * minute;
  }

  #store(run: RunRecord): Performed {
    const source = run.source!;
    const timeMs = this.#clock.nowMs();
    const snapshot = { id: run.id, timeMs, time: new Date(timeMs).toISOString() };
    for (const list of [this.#world.made, this.#world.kept]) list.set(source, [...(list.get(source) ?? []), snapshot]);
    const { host, policy, slotMs } = run;
    const about = { source, host, policy, slotMs, repository: 'nas' };
    const next = {
      kind: 'forget',
      ...about,
      trigger: 'after',
      askedBy: 'schedule',
      slotKey: `forget/${run.id}`,
    } as const;
    return { ok: true, snapshot: snapshot.id, next: [next] };
  }

  #forget({ source }: RunRecord): void {
    const { kept, made, forgotAt } = this.#world;
    const decided = applyRetention(kept.get(source!) ?? [], keep, { nowMs: this.#clock.nowMs() });
    kept.set(
      source!,
      decided.filter((one) => one.keep).map((one) => one.snapshot),
    );
    forgotAt.set(source!, made.get(source!)?.length ?? 0);
  }
}

function failure(code: 'storage.unreachable' | 'repository.wrong-password', retry: 'later' | 'never'): HoldfastError {
  return new HoldfastError({ code, message: 'it went wrong', remedy: 'Look at it.', retry });
}

const policies: readonly Partial<PolicyEntry>[] = [
  {
    name: 'madrid',
    schedule: '30 2 * * *',
    timezone: 'Europe/Madrid',
    jitterMs: 10 * minute,
    drill: { after: ['madrid'], snapshot: 'latest' },
  },
  {
    name: 'new-york',
    schedule: '30 1 * * *',
    timezone: 'America/New_York',
    drill: { schedule: '0 6 * * 0', after: [], snapshot: 'latest' },
  },
  { name: 'lord-howe', schedule: '15 2 * * *', timezone: 'Australia/Lord_Howe', catchUp: false },
  { name: 'often', everyMs: 6 * hour, jitterMs: 5 * minute },
  { name: 'night', everyMs: 8 * hour, window: { fromMinute: 22 * 60, toMinute: 6 * 60 }, timezone: 'Europe/Madrid' },
  { name: 'later', after: ['madrid', 'often'] },
  { name: 'twice', schedule: '0 1,13 * * 1-5', timezone: 'UTC', after: ['new-york'] },
];

function configOf(count: number): Config {
  const config = emptyConfig('/etc/holdfast.yaml');
  const placements = [{ repository: 'nas', keep }];
  const usual = {
    after: [],
    catchUp: true,
    timeoutMs: 3 * hour,
    placements,
    workspace: 'default',
    retry: { attempts: 3, delayMs: 5 * minute },
  };
  const sources = Array.from({ length: count }, (_, i): [string, SourceEntry] => {
    const name = `s${String(i).padStart(3, '0')}`;
    const policy = policies[i % policies.length].name!;
    const host = i % 3 === 0 ? 'local' : `h${i % 17}`;
    return [
      name,
      { name, policy, host, driver: 'files', placements, settings: {}, assertions: [], workspace: 'default' },
    ];
  });
  const nas: RepositoryEntry = {
    name: 'nas',
    url: '/nas',
    password: { from: 'env', name: 'X' },
    workspace: 'default',
    prune: { schedule: '0 5 * * 0' },
    check: { schedule: '0 7 1 * *' },
  };
  return {
    ...config,
    repositories: new Map([['nas', nas]]),
    policies: new Map(policies.map((one) => [one.name!, { ...usual, ...one } as PolicyEntry])),
    sources: new Map(sources),
    server: { ...config.server, limits: { runs: 12, perHost: Math.max(4, Math.ceil(count / 12)), perRepository: 12 } },
  };
}

function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
