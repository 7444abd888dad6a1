/**
 * Decides, while it leads, what is due and what may begin:
 *
 *     look ──▶ close lost runs ──▶ queue what is due ──▶ let in what the limits allow ──▶ hand over ──▶ wait for news ──┐
 *      ▲                                                                                                               │
 *      └───────────────────────────────────────────────────────────────────────────────────────────────────────────────┘
 *
 * Each step is one transaction that names its leader; after a crash between any two the next look goes on. What was let in
 * and not handed over, or handed over and not claimed, is handed over again.
 */
import type { Clock } from '../../base/clock.ts';
import { hasCode, messageOf } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { removeOldHappenings } from '../../catalogue/happenings.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { removeOldRuns } from '../../catalogue/run-list.ts';
import { appendLog, removeOldLogs } from '../../catalogue/run-log.ts';
import { closeLostRuns } from '../../catalogue/runs.ts';
import { listenFor } from '../../catalogue/wake.ts';
import { removeSilentWorkers } from '../../catalogue/workers.ts';
import type { RunRecord } from '../../model/run-record.ts';
import { nextDueMs } from '../../policy/due.ts';
import type { RunPlan } from '../../policy/run-plan.ts';
import type { Lane, Queue } from '../queue/queue.ts';
import { repeatOfLost } from '../worker/outcome.ts';
import { Leader } from './leader.ts';
import { type LetIn, letIn } from './let-in.ts';
import type { OpenRun } from './open-runs.ts';
import { queueDue } from './queue-due.ts';
import { watchPromises } from './watch-promises.ts';

export interface SchedulerOptions {
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  readonly log: Pick<Log, 'warn'>;
  /** Unique among all processes. */
  readonly name: string;
  readonly plan: () => RunPlan;
  readonly queue: Queue;
  readonly laneOf: (run: Pick<RunRecord, 'host'>) => Lane;
  /** Runs that were closed because nothing was heard of them; e.g. what they stopped is started again. */
  readonly onLost?: (runs: readonly RunRecord[]) => Promise<void>;
  readonly leaseMs: number;
  /** The longest time between two looks. */
  readonly pollMs: number;
}

export interface Look {
  readonly isLeading: boolean;
  readonly letIn?: LetIn;
}

const promisesEveryMs = 5 * 60_000;
const historyEveryMs = 3_600_000;
/** Handed over and not claimed for so long: it is handed over again. */
const unclaimedMs = 30_000;
const silentMs = 86_400_000;
const removedAtOnce = 1000;
/** So that many ends at once make one look. */
const shortestMs = 20;

export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #leader: Leader;
  readonly #handedMs = new Map<string, number>();
  /** By what was looked at last: when the next slot comes. */
  #next: { readonly plan: RunPlan; readonly dueMs: number } | undefined;
  #promisesMs = Number.NEGATIVE_INFINITY;
  #historyMs = Number.NEGATIVE_INFINITY;
  #waiting: ReadonlyMap<string, string> = new Map();

  constructor(options: SchedulerOptions) {
    this.#options = options;
    this.#leader = new Leader(options);
  }

  get isLeading(): boolean {
    return this.#leader.isLeading;
  }

  /** Why queued runs wait, by id, as of the last look. */
  get waiting(): ReadonlyMap<string, string> {
    return this.#waiting;
  }

  /** Looks until the signal is aborted; then it resolves, and somebody else may lead at once. */
  async run(signal: AbortSignal): Promise<void> {
    const { catalogue, clock, log, pollMs } = this.#options;
    using news = listenFor(catalogue, 'queue', clock);
    while (!signal.aborted) {
      let waitMs = pollMs;
      try {
        const { isLeading } = await this.look();
        if (isLeading) waitMs = Math.min(pollMs, this.#untilDueMs(await catalogue.nowMs()));
      } catch (error) {
        // The next look begins anew from what is stored.
        if (!hasCode(error, 'run.conflict'))
          log.warn({ error: messageOf(error) }, 'the scheduler could not look; trying again');
      }
      try {
        await clock.sleep(shortestMs, { signal });
        await news.wait(waitMs, signal);
      } catch (error) {
        if (!hasCode(error, 'cancelled')) throw error;
      }
    }
    await this.#leader.release().catch((error: unknown) => {
      log.warn({ error: messageOf(error) }, 'the lease of the scheduler could not be given back; it ends by itself');
    });
  }

  /** One look; does nothing unless it leads. */
  async look(): Promise<Look> {
    const { catalogue, plan: currentPlan, onLost } = this.#options;
    if (!(await this.#leader.lead())) {
      this.#next = undefined;
      return { isLeading: false };
    }
    const plan = currentPlan();
    const lost = await closeLostRuns(catalogue, (run, nowMs) => repeatOfLost(run, { nowMs, retrying: plan.retrying }));
    if (lost.length > 0) await onLost?.(lost);
    await this.#queueDue(plan);
    const decided = await this.#leader.decide((transaction) => letIn(transaction, plan));
    this.#waiting = decided.waiting;
    await this.#tellRemarks(decided);
    await this.#hand(decided);
    await this.#lookAfter(plan);
    return { isLeading: true, letIn: decided };
  }

  /** Lets somebody else lead. */
  async release(): Promise<void> {
    await this.#leader.release();
  }

  async #queueDue(plan: RunPlan): Promise<void> {
    const { catalogue } = this.#options;
    const nowMs = await catalogue.nowMs();
    if (this.#next?.plan === plan && nowMs < this.#next.dueMs) return;
    await this.#leader.decide((transaction) => queueDue(transaction, plan.schedules));
    this.#next = { plan, dueMs: nextDueMs(plan.schedules, nowMs) ?? Number.POSITIVE_INFINITY };
  }

  #untilDueMs(nowMs: number): number {
    return Math.max(0, (this.#next?.dueMs ?? Number.POSITIVE_INFINITY) - nowMs);
  }

  async #tellRemarks({ remarks }: LetIn): Promise<void> {
    const { catalogue, clock } = this.#options;
    for (const [id, messages] of remarks) {
      const told = messages.map((message) => ({ atMs: clock.nowMs(), event: { type: 'note', message } as const }));
      await appendLog(catalogue, { id }, told);
    }
  }

  /** What was let in before and nobody claimed is handed over again: at once after a change of leader, later from time to time. */
  async #hand({ admitted, unclaimed }: LetIn): Promise<void> {
    const { clock, queue, laneOf } = this.#options;
    const nowMs = clock.monotonicMs();
    const isForgotten = ({ id }: OpenRun): boolean =>
      nowMs - (this.#handedMs.get(id) ?? Number.NEGATIVE_INFINITY) >= unclaimedMs;
    const again = unclaimed.filter(isForgotten);
    const open = new Set([...admitted, ...unclaimed].map((run) => run.id));
    for (const id of this.#handedMs.keys()) if (!open.has(id)) this.#handedMs.delete(id);
    const runs = [...admitted, ...again];
    if (runs.length === 0) return;
    await queue.hand(runs.map((run) => ({ id: run.id, lane: laneOf(run) })));
    for (const { id } of runs) this.#handedMs.set(id, nowMs);
  }

  async #lookAfter(plan: RunPlan): Promise<void> {
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs - this.#promisesMs >= promisesEveryMs) {
      this.#promisesMs = nowMs;
      await this.#leader.decide((transaction) => watchPromises(transaction, plan.promised));
    }
    if (nowMs - this.#historyMs >= historyEveryMs) {
      this.#historyMs = nowMs;
      await this.#forgetHistory(plan);
    }
  }

  /** In small steps, so that nobody waits for long; what is left over goes the next time. */
  async #forgetHistory({ history }: RunPlan): Promise<void> {
    const { catalogue } = this.#options;
    const nowMs = await catalogue.nowMs();
    const mostSteps = 50;
    const remove = async (step: () => Promise<number>): Promise<void> => {
      for (let i = 0; i < mostSteps; i++) if ((await step()) === 0) return;
    };
    await remove(() => removeOldLogs(catalogue, nowMs - history.logsMs, removedAtOnce));
    await remove(() => removeOldRuns(catalogue, nowMs - history.runsMs, removedAtOnce));
    await remove(() => removeOldHappenings(catalogue, nowMs - history.eventsMs, removedAtOnce));
    await removeSilentWorkers(catalogue, nowMs - silentMs);
  }
}
