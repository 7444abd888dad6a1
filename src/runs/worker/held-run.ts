/**
 * One run in the hands of one worker, from its claim to its end:
 *
 *     claimed ──▶ performing ──▶ ended
 *                  │  ▲            by its outcome · cancelled · its time is over · this process stops · the lease cannot be
 *                  └──┘            kept: then it is aborted before the lease ends, and who closes it is somebody else
 *                 lease renewed
 *
 * Invariant: whoever performs it has a lease that still lasts, counted from before it was asked for.
 */
import type { Clock } from '../../base/clock.ts';
import { cancelled, HoldfastError, hasCode, messageOf } from '../../base/errors.ts';
import { inTime } from '../../base/in-time.ts';
import type { Log } from '../../base/log.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { type ClaimedRun, finishRun, renewLease, titleOf } from '../../catalogue/runs.ts';
import type { RunRecord } from '../../model/run-record.ts';
import type { RunPlan } from '../../policy/run-plan.ts';
import type { Execute, Performed } from '../execute.ts';
import { type Ending, endingOf, endingOfError, type StopReason } from './outcome.ts';
import { RunLogWriter } from './run-log-writer.ts';

export interface HeldRunParts {
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  readonly log: Pick<Log, 'warn'>;
  readonly plan: () => Pick<RunPlan, 'retrying' | 'timeoutMs'>;
  readonly execute: Execute;
  readonly leaseMs: number;
}

/** The lease is renewed so many times before it would end; the run is aborted when it lasts for one of these parts only. */
const renewals = 6;
/** How long a server may take to start again. */
const leftMs = 10 * 60_000;

export class HeldRun {
  readonly run: RunRecord;
  readonly #parts: HeldRunParts;
  readonly #fence: number;
  readonly #warningsBefore: number;
  readonly #stop = new AbortController();
  #stopped: StopReason | undefined;
  /** On the monotonic clock. */
  #leaseEndsMs: number;

  /** `claimedMs`: on the monotonic clock, from before the claim. `warnings`: of a process that had it before, in its log. */
  constructor(
    { run, fence, warnings = 0 }: Pick<ClaimedRun, 'run' | 'fence'> & { readonly warnings?: number },
    claimedMs: number,
    parts: HeldRunParts,
  ) {
    this.run = run;
    this.#fence = fence;
    this.#warningsBefore = warnings;
    this.#parts = parts;
    this.#leaseEndsMs = claimedMs + parts.leaseMs;
  }

  /** The first reason counts. */
  stop(reason: StopReason): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = reason;
    this.#stop.abort(this.#reasonOf(reason));
  }

  /** Resolves when all of it has ended and the end is written, or is somebody else's to write. Never rejects. */
  async perform(): Promise<void> {
    const { catalogue, clock, log } = this.#parts;
    const hold = { id: this.run.id, fence: this.#fence };
    const writer = new RunLogWriter(catalogue, hold, clock, this.#warningsBefore);
    const done = new AbortController();
    const warn = (what: string) => (error: unknown) => log.warn({ run: this.run.id, error: messageOf(error) }, what);
    const beside = [
      writer.follow(done.signal, warn('the log of a run cannot be written; trying again')),
      this.#keepLease(done.signal),
      this.#watchTime(done.signal),
    ];
    const ending = await this.#execute(writer);
    await writer.flush().catch(warn('the last lines of a run are lost'));
    if (this.#stopped !== 'left') await this.#finish(ending);
    done.abort('done');
    await Promise.all(beside);
    if (this.#stopped === 'left') await this.#leave();
  }

  async #execute(writer: RunLogWriter): Promise<Ending> {
    const { clock, execute, plan, catalogue } = this.#parts;
    const { retrying } = plan();
    const facts = async () => ({ nowMs: await this.#nowMs(catalogue), warnings: writer.warnings, retrying });
    let performed: Performed;
    try {
      const { report, written } = writer;
      performed = await execute(this.run, { clock, signal: this.#stop.signal, report, written });
    } catch (error) {
      const reason = this.#stopped === undefined ? error : this.#reasonOf(this.#stopped);
      return endingOfError(this.run, reason, this.#stopped, await facts());
    }
    return endingOf(this.run, performed, await facts());
  }

  /** For delays of retries: of this machine, where the catalogue does not answer. */
  async #nowMs(catalogue: Catalogue): Promise<number> {
    return await catalogue.nowMs().catch(() => this.#parts.clock.nowMs());
  }

  async #finish(ending: Ending): Promise<void> {
    const { catalogue, clock, log, leaseMs } = this.#parts;
    for (;;) {
      try {
        const timeoutMs = Math.max(1, leaseMs / renewals);
        const finishing = () => finishRun(catalogue, { id: this.run.id, fence: this.#fence, ...ending });
        const run = await inTime({ clock, timeoutMs }, unanswered(), finishing);
        if (!run) log.warn({ run: this.run.id }, 'a run ended here that somebody else had closed');
        return;
      } catch (error) {
        log.warn({ run: this.run.id, error: messageOf(error) }, 'the end of a run cannot be written');
        if (clock.monotonicMs() >= this.#leaseEndsMs) return;
        await clock.sleep(Math.max(1, leaseMs / renewals / 2));
      }
    }
  }

  /** It goes on elsewhere: the lease lasts until the next process of this place is there to resume it. */
  async #leave(): Promise<void> {
    const { catalogue, log } = this.#parts;
    try {
      await renewLease(catalogue, { id: this.run.id, fence: this.#fence, leaseMs: leftMs });
    } catch (error) {
      log.warn({ run: this.run.id, error: messageOf(error) }, 'a run that goes on elsewhere counts as lost soon');
    }
  }

  async #keepLease(done: AbortSignal): Promise<void> {
    const { clock, leaseMs, log } = this.#parts;
    const stepMs = leaseMs / renewals;
    while (!done.aborted) {
      if (!(await sleepUnless(done, clock, stepMs))) return;
      try {
        await this.#renew(stepMs);
      } catch (error) {
        if (done.aborted) return;
        log.warn({ run: this.run.id, error: messageOf(error) }, 'the lease of a run cannot be renewed');
        if (clock.monotonicMs() >= this.#leaseEndsMs - 2 * stepMs) this.stop('lost');
      }
    }
  }

  async #renew(timeoutMs: number): Promise<void> {
    const { catalogue, clock, leaseMs } = this.#parts;
    const beganMs = clock.monotonicMs();
    const renewing = () => renewLease(catalogue, { id: this.run.id, fence: this.#fence, leaseMs });
    const renewed = await inTime({ clock, timeoutMs }, unanswered(), renewing);
    if (renewed === false) return this.stop('lost');
    this.#leaseEndsMs = beganMs + leaseMs;
    if (renewed.cancelRequested) this.stop('cancelled');
  }

  async #watchTime(done: AbortSignal): Promise<void> {
    const timeoutMs = this.#parts.plan().timeoutMs(this.run);
    if (timeoutMs === undefined) return;
    if (await sleepUnless(done, this.#parts.clock, timeoutMs)) this.stop('timeout');
  }

  #reasonOf(reason: StopReason): HoldfastError {
    const what = `the ${titleOf(this.run)}`;
    if (reason === 'timeout') {
      return new HoldfastError({
        code: 'run.timeout',
        message: `${what} took longer than it may and was stopped`,
        remedy: 'See its log for what took so long, or give its policy a longer timeout.',
        retry: 'later',
      });
    }
    if (reason !== 'lost') return cancelled(reason);
    return new HoldfastError({
      code: 'run.lost',
      message: `${what} was stopped: its lease could not be renewed`,
      remedy: 'Look whether the catalogue can be reached from the worker; the run is tried again.',
      retry: 'later',
    });
  }
}

function unanswered(): HoldfastError {
  return new HoldfastError({
    code: 'catalogue.unreachable',
    message: 'the catalogue did not answer in time',
    remedy: 'Check that its database runs and can be reached.',
    retry: 'now',
  });
}

/** False if `done` came first. */
async function sleepUnless(done: AbortSignal, clock: Clock, ms: number): Promise<boolean> {
  try {
    await clock.sleep(ms, { signal: done, background: true });
    return true;
  } catch (error) {
    if (!hasCode(error, 'cancelled')) throw error;
    return false;
  }
}
