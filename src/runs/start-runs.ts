/** Everything that makes runs happen, put together: for the server, for further workers, and for one pass without either. */
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Catalogue } from '../catalogue/open.ts';
import type { Hold } from '../catalogue/runs.ts';
import type { RunRecord } from '../model/run-record.ts';
import type { RunPlan } from '../policy/run-plan.ts';
import type { Execute } from './execute.ts';
import { EmbeddedQueue } from './queue/embedded-queue.ts';
import type { Lane, Queue } from './queue/queue.ts';
import { Scheduler } from './schedule/scheduler.ts';
import { Worker } from './worker/worker.ts';

export interface RunsOptions {
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  readonly log: Pick<Log, 'warn'>;
  /** Unique among all processes that share the catalogue, and new at every start. */
  readonly name: string;
  /** The same object until it changes; asked at every look, so that a changed configuration counts at once. */
  readonly plan: () => RunPlan;
  readonly execute: Execute;
  /** Absent: within this process. It is closed by who opened it. */
  readonly queue?: Queue;
  /** How many runs this process executes at once; 0: none. */
  readonly capacity: number;
  readonly lanes?: readonly Lane[];
  /** `agents` for runs that only a process may have which lets agents in. */
  readonly laneOf?: (run: Pick<RunRecord, 'host'>) => Lane;
  /** See `WorkerOptions`. */
  readonly isElsewhere?: (run: RunRecord) => boolean;
  readonly onLost?: (runs: readonly RunRecord[]) => Promise<void>;
  /** How long a worker is believed to live that says nothing. */
  readonly leaseMs?: number;
  readonly pollMs?: number;
}

export interface Runs {
  /** Why queued runs wait, by id, if this process leads. */
  readonly waiting: ReadonlyMap<string, string>;
  readonly isLeading: boolean;
  /** Ids of what this process executes. */
  readonly running: readonly string[];
  /** A run that was asked to stop stops at once if it is here; elsewhere within seconds. */
  cancel(id: string): void;
  /** See `Worker.resume`. */
  resume(hold: Hold): Promise<boolean>;
  /** Begins nothing more, waits for what is going on, and stops what still goes on after `patienceMs`. Then nothing runs. */
  stop(patienceMs: number): Promise<void>;
}

const usualLeaseMs = 60_000;
const usualPollMs = 5_000;
/** With workers elsewhere, news comes by looking. */
const sharedPollMs = 500;

export function startRuns(options: RunsOptions): Runs {
  const { catalogue, clock, name, leaseMs = usualLeaseMs } = options;
  const closing = new AbortController();
  const queue = options.queue ?? new EmbeddedQueue(clock);
  const pollMs = options.pollMs ?? (catalogue.kind === 'postgres' ? sharedPollMs : usualPollMs);
  const laneOf = options.laneOf ?? (() => 'any');
  const scheduler = new Scheduler({ ...options, queue, leaseMs, pollMs, laneOf });
  const worker = new Worker({ ...options, name, queue, leaseMs, lanes: options.lanes ?? ['any', 'agents'] });
  if (options.capacity > 0) worker.start();
  const scheduled = scheduler.run(closing.signal);
  return {
    get waiting() {
      return scheduler.waiting;
    },
    get isLeading() {
      return scheduler.isLeading;
    },
    get running() {
      return worker.running;
    },
    cancel: (id) => worker.cancel(id),
    resume: (hold) => worker.resume(hold),
    async stop(patienceMs) {
      closing.abort();
      await scheduled;
      await worker.stop(patienceMs);
    },
  };
}
