/**
 * One maintenance window: closed → open (`begin`) → closed (`end`). Invariant: whatever was running and is stopped, or is
 * about to be, stands in a record on the disk until it runs again.
 */
import { formatDuration } from '../../base/bytes.ts';
import { HoldfastError, messageOf, throwIfCancelled } from '../../base/errors.ts';
import { mustSucceed } from '../../hosts/run-to-end.ts';
import type { Report } from '../../model/run.ts';
import { type HookStep, type StopStep, titleOf, type WindowPlan } from '../../model/window.ts';
import { claimsOf, machineOf, serviceClaim } from './claims.ts';
import { closeWindow } from './close-window.ts';
import type { WindowRecords } from './open-records.ts';
import type { OpenRecord, WindowRecord } from './records.ts';

/** A look at a service before it is started delays its start. */
const longestLookMs = 10_000;

type Tools = Parameters<typeof closeWindow>[1];

export interface WindowRequest extends Tools {
  readonly plan: WindowPlan;
  readonly report: Report;
  readonly records: WindowRecords;
  readonly about: Pick<WindowRecord, 'config' | 'source' | 'host' | 'machine'>;
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
  readonly #claims: readonly string[];
  readonly #stopped: StopStep[] = [];
  /** Found to stand still, or stopped: of these it is known that nothing wrote when the capture began. */
  readonly #still: StopStep[] = [];
  readonly #after: HookStep[];
  readonly #notes: string[] = [];
  #failures: readonly string[] = [];
  #downtimeMs: number | undefined;
  #record: OpenRecord | undefined;
  #firstStopMs: number | undefined;
  #isUsed = false;
  #isOpen = false;

  constructor(request: WindowRequest) {
    this.#request = request;
    this.#claims = claimsOf(request.plan, request.about);
    this.#after = [...request.plan.after];
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

  /**
   * Performs `before`, after having waited for windows with a service in common, or of the same source. Rejects with the first
   * failure unless the plan says to continue; call `end` all the same.
   */
  async begin(signal: AbortSignal): Promise<void> {
    const { plan, report } = this.#request;
    throwIfCancelled(signal);
    await this.#takeTurn(signal);
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
    this.#isOpen = true;
  }

  /**
   * Starts what was stopped and performs `after`. Never rejects: what goes wrong is in the outcome, and reported at once.
   * Gives why what was captured must not be kept, if so: `source.changed`.
   */
  async end(): Promise<HoldfastError | undefined> {
    const record = this.#record;
    if (!record) return undefined;
    this.#record = undefined;
    const { plan, report, about } = this.#request;
    const moved = this.#isOpen ? await this.#startedByOthers() : [];
    const closed = await closeWindow({ stopped: this.#stopped, after: this.#after }, this.#request);
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
    for (const message of [...moved, ...failures])
      report({ type: 'warning', code: 'host.command-failed', message, subject: about.source });
    // Who wants a backup whatever fails around it keeps this one, too, and is told.
    const isKept = moved.length === 0 || plan.onFailure === 'continue';
    this.#failures = isKept ? [...moved, ...failures] : failures;
    return isKept ? undefined : tornBy(moved);
  }

  #content(): WindowRecord {
    const { about, clock } = this.#request;
    const todo = { claims: this.#claims, stopped: this.#stopped, after: this.#after };
    return { format: 1, ...about, openedAtMs: clock.nowMs(), ...todo };
  }

  async #takeTurn(signal: AbortSignal): Promise<void> {
    const { records, report, clock } = this.#request;
    const onWait = (claim: string): void =>
      report({ type: 'note', message: `the window waits for another backup, whose window has ${claim}` });
    const record = await records.create(this.#content(), { clock, signal, onWait });
    this.#record = record;
    this.#isUsed = true;
    this.#stopped.push(...record.taken.stopped);
    this.#after.push(...record.taken.after);
    for (const { stop } of record.taken.stopped)
      this.#notes.push(`${titleOf(stop)} had been left stopped by an earlier backup: it was for this one to start it`);
  }

  /** Somebody else started them, who knows nothing of windows: what was read may not belong together. */
  async #startedByOthers(): Promise<string[]> {
    const { services, clock } = this.#request;
    const asked = this.#still.map(async ({ stop, timeoutMs }) => {
      try {
        const limits = { clock, timeoutMs: Math.min(timeoutMs, longestLookMs) };
        if (!(await services.isRunning(stop, limits))) return [];
        return [
          `${titleOf(stop)} was started by somebody else while it had to stand still: what was read may not be whole`,
        ];
      } catch (error) {
        this.#notes.push(`whether ${titleOf(stop)} stood still all the time cannot be said: ${messageOf(error)}`);
        return [];
      }
    });
    return (await Promise.all(asked)).flat();
  }

  async #run({ run, timeoutMs }: HookStep, signal: AbortSignal): Promise<void> {
    const { host, clock } = this.#request;
    await mustSucceed(host, run, 'a step before the backup failed', { clock, timeoutMs, signal });
  }

  async #stop(step: StopStep): Promise<void> {
    const { services, clock } = this.#request;
    const limits = { clock, timeoutMs: step.timeoutMs };
    if (!(await services.isRunning(step.stop, limits))) {
      this.#still.push(step);
      if (!this.#isTaken(step)) this.#notes.push(`${titleOf(step.stop)} was not running and stays stopped`);
      return;
    }
    for (const also of await services.dependents(step.stop, limits)) {
      this.#notes.push(`${titleOf(also)} was stopped, too: it depends on ${titleOf(step.stop)}`);
      await this.#stopRunning({ ...step, stop: also });
    }
    await this.#stopRunning(step);
  }

  async #stopRunning(step: StopStep): Promise<void> {
    const { services, clock, report } = this.#request;
    const limits = { clock, timeoutMs: step.timeoutMs };
    if (!this.#isTaken(step)) this.#stopped.push(step);
    await this.#record?.write(this.#content());
    report({ type: 'stage', stage: 'stop', subject: step.stop.name });
    this.#firstStopMs ??= clock.monotonicMs();
    await services.stop(step.stop, limits);
    this.#still.push(step);
  }

  /** Its start is this window's already. */
  #isTaken({ stop }: StopStep): boolean {
    const machine = machineOf(this.#request.about);
    const claim = serviceClaim(stop, machine);
    return this.#stopped.some((one) => serviceClaim(one.stop, machine) === claim);
  }
}

function tornBy(moved: readonly string[]): HoldfastError {
  return new HoldfastError({
    code: 'source.changed',
    message: moved.join('; '),
    remedy:
      'Nothing was stored. See to it that nobody starts it during a backup: name what does in the window, too, a timer for example.',
    retry: 'later',
  });
}
