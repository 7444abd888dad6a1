/** Runs of the current configuration, in this process: what a server, a worker and one pass have in common. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Log } from '../../base/log.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { type Config, performingHost } from '../../config/index.ts';
import type { RunRecord } from '../../model/run-record.ts';
import type { RunPlan } from '../../policy/run-plan.ts';
import type { Execute } from '../../runs/execute.ts';
import type { Lane, Queue } from '../../runs/queue/queue.ts';
import { type Runs, startRuns } from '../../runs/start-runs.ts';
import { refreshing } from '../catalogue/keep-current.ts';
import { catalogueAddress } from '../open-catalogue.ts';
import type { Execution, SourceAccess } from '../operation.ts';
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

/** Unique among all processes and starts. */
export function processName(): string {
  return `${hostname()}:${process.pid}:${randomBytes(3).toString('hex')}`;
}

/** With a PostgreSQL catalogue, runs are shared with all workers that use it; otherwise they are performed here. */
export async function startRunsHere(options: RunsHereOptions): Promise<Runs & AsyncDisposable> {
  const { catalogue, access, execution, log, elsewhere } = options;
  const { clock } = execution;
  const queue = await sharedQueue(options);
  const perform = executeWith(access);
  const runs = startRuns({
    ...{ catalogue, clock, log, queue },
    name: processName(),
    plan: planOf(access),
    execute: refreshing((run, uses) => (elsewhere?.(run) ?? perform)(run, uses), options),
    capacity: options.capacity ?? access().config.server.limits.runs,
    isElsewhere: (run) => elsewhere?.(run) !== undefined,
    lanes: elsewhere ? ['any', 'agents'] : ['any'],
    laneOf: (run) => laneOf(run, access()),
    leaseMs: options.leaseMs,
  });
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
      await runs.stop(0);
      await queue?.[Symbol.asyncDispose]();
    },
  };
}

/** The plan of the configuration as it is now; the same object as long as that stays the same. */
export function planOf(access: () => Pick<SourceAccess, 'config'>): () => RunPlan {
  let made: { readonly config: Config; readonly plan: RunPlan } | undefined;
  return () => {
    const { config } = access();
    if (made?.config !== config) made = { config, plan: planRuns(config) };
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
