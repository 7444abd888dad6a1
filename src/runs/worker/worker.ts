/** Who executes runs: as many at once as it has room for. Ends in order, with nothing left running. */
import { hasCode, messageOf } from '../../base/errors.ts';
import { programVersion } from '../../base/version.ts';
import { countWarnings } from '../../catalogue/run-log.ts';
import { claimRun, getRun, type Hold, renewLease } from '../../catalogue/runs.ts';
import { removeWorker, sayAlive } from '../../catalogue/workers.ts';
import type { RunRecord } from '../../model/run-record.ts';
import type { Lane, Queue } from '../queue/queue.ts';
import { HeldRun, type HeldRunParts } from './held-run.ts';

export interface WorkerOptions extends HeldRunParts {
  /** Unique while it lives: host and process. */
  readonly name: string;
  readonly capacity: number;
  readonly lanes: readonly Lane[];
  readonly queue: Queue;
  /** True for a run that goes on without this process: it is left, not stopped, for the next one to resume. */
  readonly isElsewhere?: (run: RunRecord) => boolean;
}

export class Worker {
  readonly #options: WorkerOptions;
  readonly #held = new Map<string, HeldRun>();
  readonly #ends = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  /** Ids that are being claimed now: they take room, too. */
  #claiming = 0;
  #served: Promise<unknown> | undefined;

  constructor(options: WorkerOptions) {
    this.#options = options;
  }

  /** Ids of what it executes now. */
  get running(): readonly string[] {
    return [...this.#held.keys()];
  }

  start(): void {
    const { queue, capacity, lanes } = this.#options;
    const room = (): number => capacity - this.#held.size - this.#claiming;
    const taking = { lanes, room, take: (id: string) => this.take(id) };
    this.#served = Promise.all([queue.serve(taking, this.#closing.signal), this.#showLife(this.#closing.signal)]);
  }

  /** Claims the run and begins it; nothing happens if it is somebody else's. */
  async take(id: string): Promise<void> {
    const { catalogue, clock, name, leaseMs, log } = this.#options;
    if (this.#closing.signal.aborted || this.#held.has(id)) return;
    const claimedMs = clock.monotonicMs();
    this.#claiming++;
    try {
      const claimed = await claimRun(catalogue, { id, worker: name, leaseMs });
      if (claimed) this.#begin(new HeldRun(claimed, claimedMs, this.#options));
    } catch (error) {
      // It stays queued and is handed over again.
      log.warn({ run: id, error: messageOf(error) }, 'a run cannot be claimed');
    } finally {
      this.#claiming--;
    }
  }

  /**
   * Goes on with a run that a process before this one had claimed, and that somebody far away still performs. True if it is in
   * these hands now, or was before; false if its lease has ended or somebody else decides about it.
   */
  async resume({ id, fence }: Hold): Promise<boolean> {
    const { catalogue, clock, leaseMs } = this.#options;
    if (this.#held.has(id)) return true;
    if (this.#closing.signal.aborted) return false;
    const claimedMs = clock.monotonicMs();
    if ((await renewLease(catalogue, { id, fence, leaseMs })) === false) return false;
    const run = await getRun(catalogue, id);
    const warnings = await countWarnings(catalogue, id);
    if (run === undefined || this.#held.has(id)) return run !== undefined;
    const held = new HeldRun({ run, fence, warnings }, claimedMs, this.#options);
    // This process began to end meanwhile: it is held only so that its lease lasts until the next one.
    if (this.#closing.signal.aborted) held.stop('left');
    this.#begin(held);
    return true;
  }

  /** A run it executes is told to stop at once, not with the next renewal of its lease. */
  cancel(id: string): void {
    this.#held.get(id)?.stop('cancelled');
  }

  /** Takes nothing new; waits up to `patienceMs` for what is going on, then stops it. */
  async stop(patienceMs: number): Promise<void> {
    const { clock, catalogue, name, log, isElsewhere } = this.#options;
    this.#closing.abort();
    for (const held of this.#held.values()) if (isElsewhere?.(held.run)) held.stop('left');
    const ended = new AbortController();
    const patience = clock.sleep(patienceMs, { signal: ended.signal }).then(
      () => this.#stopAll(),
      () => undefined, // all ended before
    );
    await this.#served;
    while (this.#ends.size > 0) await Promise.all(this.#ends);
    ended.abort('ended');
    await patience;
    const failed = (error: unknown) => log.warn({ error: messageOf(error) }, 'the worker cannot be signed off');
    await removeWorker(catalogue, name).catch(failed);
  }

  #stopAll(): void {
    for (const held of this.#held.values()) held.stop('shutdown');
  }

  #begin(held: HeldRun): void {
    const { id } = held.run;
    this.#held.set(id, held);
    const end = held.perform().finally(() => {
      this.#held.delete(id);
      this.#ends.delete(end);
      this.#options.queue.wake();
    });
    this.#ends.add(end);
  }

  async #showLife(signal: AbortSignal): Promise<void> {
    const { catalogue, clock, name, capacity, lanes, log, leaseMs } = this.#options;
    const startedAtMs = clock.nowMs();
    while (!signal.aborted) {
      const facts = { capacity, running: this.#held.size, lanes: lanes.join(' ') };
      await sayAlive(catalogue, { name, startedAtMs, version: programVersion, facts }).catch((error: unknown) =>
        log.warn({ error: messageOf(error) }, 'the worker cannot say that it lives'),
      );
      await clock.sleep(leaseMs / 4, { signal, background: true }).catch((error: unknown) => {
        if (!hasCode(error, 'cancelled')) throw error;
      });
    }
  }
}
