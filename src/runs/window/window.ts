/**
 * One maintenance window: closed → open (`begin`) → closed (`end`). Invariant: whatever was running and is stopped, or is
 * about to be, stands in a record on the disk until it runs again.
 */
import { formatDuration } from '../../base/bytes.ts';
import { messageOf, throwIfCancelled } from '../../base/errors.ts';
import { mustSucceed } from '../../hosts/run-to-end.ts';
import type { Report } from '../../model/run.ts';
import { type HookStep, type StopStep, titleOf, type WindowPlan } from '../../model/window.ts';
import { closeWindow } from './close-window.ts';
import type { OpenRecord, WindowRecord, WindowRecords } from './records.ts';

type Tools = Parameters<typeof closeWindow>[1];

export interface WindowRequest extends Tools {
  readonly plan: WindowPlan;
  readonly report: Report;
  readonly records: WindowRecords;
  readonly about: Pick<WindowRecord, 'config' | 'source' | 'host'>;
}

export interface WindowOutcome {
  /** From before the first stop until after the last start; absent if nothing was stopped, or if something still is. */
  readonly downtimeMs?: number;
  readonly notes: readonly string[];
  /** Any of these makes the run a failure. */
  readonly failures: readonly string[];
}

export class MaintenanceWindow {
  readonly #request: WindowRequest;
  readonly #stopped: StopStep[] = [];
  readonly #notes: string[] = [];
  #failures: readonly string[] = [];
  #downtimeMs: number | undefined;
  #record: OpenRecord | undefined;
  #firstStopMs: number | undefined;
  #isUsed = false;

  constructor(request: WindowRequest) {
    this.#request = request;
  }

  /** False until `begin` has come so far that there is something to end. */
  get isUsed(): boolean {
    return this.#isUsed;
  }

  /** Complete after `end`. */
  get outcome(): WindowOutcome {
    const { plan } = this.#request;
    const downtime = this.#downtimeMs;
    const names = plan.before.flatMap((step) =>
      'stop' in step && this.#stopped.includes(step) ? [step.stop.name] : [],
    );
    const told = downtime === undefined ? [] : [`${names.join(', ')} stood still for ${formatDuration(downtime)}`];
    return { downtimeMs: downtime, notes: [...this.#notes, ...told], failures: this.#failures };
  }

  /** Performs `before`. Rejects with the first failure unless the plan says to continue; call `end` all the same. */
  async begin(signal: AbortSignal): Promise<void> {
    const { records, plan, report } = this.#request;
    throwIfCancelled(signal);
    this.#record = await records.create(this.#content());
    this.#isUsed = true;
    for (const step of plan.before) {
      throwIfCancelled(signal);
      try {
        await ('stop' in step ? this.#stop(step) : this.#run(step, signal));
      } catch (error) {
        throwIfCancelled(signal);
        if (plan.onFailure === 'abort') throw error;
        const message = `the backup was made although a step before it failed: ${messageOf(error)}`;
        this.#notes.push(message);
        report({ type: 'warning', code: 'host.command-failed', message, subject: this.#request.about.source });
      }
    }
  }

  /** Starts what was stopped and performs `after`. Never rejects: what goes wrong is in the outcome, and reported at once. */
  async end(): Promise<void> {
    const record = this.#record;
    if (!record) return;
    this.#record = undefined;
    const { plan, report, about } = this.#request;
    const closed = await closeWindow({ stopped: this.#stopped, after: plan.after }, this.#request);
    const failures = [...closed.failures];
    if (this.#firstStopMs !== undefined && closed.left.length === 0) {
      this.#downtimeMs = closed.startedMs - this.#firstStopMs;
    }
    try {
      if (closed.left.length === 0) await record.remove();
      else await record.leave({ ...this.#content(), stopped: closed.left, after: [] });
    } catch (error) {
      failures.push(`the record of the window could not be brought up to date: ${messageOf(error)}`);
    }
    for (const message of failures)
      report({ type: 'warning', code: 'host.command-failed', message, subject: about.source });
    this.#failures = failures;
  }

  #content(): WindowRecord {
    const { about, plan, clock } = this.#request;
    return { format: 1, ...about, openedAtMs: clock.nowMs(), stopped: this.#stopped, after: plan.after };
  }

  async #run({ run, timeoutMs }: HookStep, signal: AbortSignal): Promise<void> {
    const { host, clock } = this.#request;
    await mustSucceed(host, run, 'a step before the backup failed', { clock, timeoutMs, signal });
  }

  async #stop(step: StopStep): Promise<void> {
    const { services, clock, report } = this.#request;
    const limits = { clock, timeoutMs: step.timeoutMs };
    if (!(await services.isRunning(step.stop, limits))) {
      this.#notes.push(`${titleOf(step.stop)} was not running and stays stopped`);
      return;
    }
    this.#stopped.push(step);
    await this.#record?.write(this.#content());
    report({ type: 'stage', stage: 'stop', subject: step.stop.name });
    this.#firstStopMs ??= clock.monotonicMs();
    await services.stop(step.stop, limits);
  }
}
