/** Runs of the current configuration, in this process: what a server, a worker and one pass have in common. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { hasCode, messageOf } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { type Config, performingHost } from '../../config/index.ts';
import type { Report } from '../../model/run.ts';
import type { RunRecord } from '../../model/run-record.ts';
import type { RunPlan } from '../../policy/run-plan.ts';
import type { Execute } from '../../runs/execute.ts';
import type { Lane, Queue } from '../../runs/queue/queue.ts';
import { type Runs, startRuns } from '../../runs/start-runs.ts';
import { recordsOfRun, type WindowRecords, windowsDirectory } from '../../runs/window/index.ts';
import { refreshing } from '../catalogue/keep-current.ts';
import { catalogueAddress } from '../open-catalogue.ts';
import type { Execution, SourceAccess } from '../operation.ts';
import { closeLeftWindows } from './close-left-windows.ts';
import { executeWith } from './execute-run.ts';
import { planRuns } from './plan-runs.ts';

export interface RunsHereOptions {
  readonly catalogue: Catalogue;
  /** As it is now: another object after every change. */
  readonly access: () => SourceAccess;
  readonly execution: Pick<Execution, 'clock' | 'signal'>;
  readonly log: Pick<Log, 'warn'>;
  /** How many runs at once here; absent: as many as `server: limits: runs` allows everywhere. 0: this process only schedules. */
  readonly capacity?: number;
  /** How long a worker is believed to live that says nothing; default a minute. */
  readonly leaseMs?: number;
  /** Who performs a run that is not performed here: an agent. Absent: this process has none, and leaves such runs to others. */
  readonly elsewhere?: (run: RunRecord) => Execute | undefined;
}

const windowsEveryMs = 20_000;

/** Unique among all processes and starts. */
export function processName(): string {
  return `${hostname()}:${process.pid}:${randomBytes(3).toString('hex')}`;
}

/** With a PostgreSQL catalogue, runs are shared with all workers that use it; otherwise they are performed here. */
export async function startRunsHere(options: RunsHereOptions): Promise<Runs & AsyncDisposable> {
  const { catalogue, access, execution, log, elsewhere } = options;
  const { clock } = execution;
  const queue = await sharedQueue(options);
  const name = processName();
  const perform = executeWith(access, windowsOf({ catalogue, env: access().env, worker: name }));
  const windows = new WindowWatch(() => runs.isLeading, options);
  const runs = startRuns({
    onLost: async () => windows.look(),
    ...{ catalogue, clock, log, queue },
    name,
    plan: planOf(access),
    execute: refreshing((run, uses) => (elsewhere?.(run) ?? perform)(run, uses), options),
    capacity: options.capacity ?? access().config.server.limits.runs,
    isElsewhere: (run) => elsewhere?.(run) !== undefined,
    lanes: elsewhere ? ['any', 'agents'] : ['any'],
    laneOf: (run) => laneOf(run, access()),
    leaseMs: options.leaseMs,
  });
  windows.start();
  return {
    get waiting() {
      return runs.waiting;
    },
    get isLeading() {
      return runs.isLeading;
    },
    get running() {
      return runs.running;
    },
    cancel: (id) => runs.cancel(id),
    resume: (hold) => runs.resume(hold),
    stop: (patienceMs) => runs.stop(patienceMs),
    async [Symbol.asyncDispose]() {
      await windows.stop();
      await runs.stop(0);
      await queue?.[Symbol.asyncDispose]();
    },
  };
}

/** What a run stops stands in the catalogue, too, so that others see what a worker left stopped. */
export function windowsOf({
  catalogue,
  env,
  worker,
}: Pick<RunsHereOptions, 'catalogue'> & Pick<SourceAccess, 'env'> & { readonly worker: string }) {
  const directory = windowsDirectory(env);
  return (run: RunRecord): WindowRecords => recordsOfRun({ catalogue, directory, run: run.id, worker });
}

/** Looks for what was stopped and not started again: at the beginning, from time to time, and when a run was lost. */
class WindowWatch {
  readonly #isLeading: () => boolean;
  readonly #options: RunsHereOptions;
  readonly #closing = new AbortController();
  #ring = new AbortController();
  #watched: Promise<void> | undefined;

  constructor(isLeading: () => boolean, options: RunsHereOptions) {
    this.#isLeading = isLeading;
    this.#options = options;
  }

  start(): void {
    this.#watched = this.#watch();
  }

  look(): void {
    this.#ring.abort();
  }

  async stop(): Promise<void> {
    this.#closing.abort();
    await this.#watched;
  }

  async #watch(): Promise<void> {
    const { catalogue, access, execution, log } = this.#options;
    const report: Report = (event) => {
      if (event.type === 'warning') log.warn({ subject: event.subject }, event.message);
    };
    while (!this.#closing.signal.aborted) {
      this.#ring = new AbortController();
      try {
        await closeLeftWindows({ ...access(), ...execution, report, catalogue }, { leads: this.#isLeading() });
      } catch (error) {
        log.warn({ error: messageOf(error) }, 'what was left stopped cannot be looked for; trying again');
      }
      const signal = AbortSignal.any([this.#closing.signal, this.#ring.signal]);
      await execution.clock.sleep(windowsEveryMs, { signal, background: true }).catch((error: unknown) => {
        if (!hasCode(error, 'cancelled')) throw error;
      });
    }
  }
}

/** The plan of the configuration as it is now; the same object as long as that stays the same. */
export function planOf(access: () => Pick<SourceAccess, 'config' | 'hostKinds'>): () => RunPlan {
  let made: { readonly config: Config; readonly plan: RunPlan } | undefined;
  return () => {
    const { config, hostKinds } = access();
    if (made?.config !== config) made = { config, plan: planRuns(config, hostKinds) };
    return made.plan;
  };
}

function laneOf({ host }: Pick<RunRecord, 'host'>, { config, hostKinds }: SourceAccess): Lane {
  return performingHost(host, config.hosts, hostKinds) === undefined ? 'any' : 'agents';
}

async function sharedQueue({ access, execution, log }: RunsHereOptions): Promise<Queue | undefined> {
  const address = await catalogueAddress({ ...access(), ...execution });
  if (address.kind === 'sqlite') return undefined;
  const { openPgBossQueue } = await import('../../runs/queue/pg-boss-queue.ts');
  return await openPgBossQueue({ ...address, clock: execution.clock, log });
}
