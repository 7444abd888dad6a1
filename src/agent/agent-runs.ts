/**
 * The runs an agent has: those that go on, and those that ended and were not settled yet. They belong to no connection: a
 * server that is gone, and comes back, finds them as they are.
 *
 *     perform ──▶ running ──▶ ended (on disk) ──▶ settled: forgotten
 *
 * Of one source there is one run at a time: another one for it means that the server counts the first as lost, so the first
 * is stopped and waited for. Nothing is done twice at once, whatever servers believe.
 */
import type { Clock } from '../base/clock.ts';
import { cancelled, HoldfastError } from '../base/errors.ts';
import type { Report } from '../model/run.ts';
import { describeError } from '../operations/describe-error.ts';
import { EventBuffer } from './event-buffer.ts';
import type { AgentHello, Hold, Perform, ToServer, WireError } from './protocol.ts';
import { readResults, removeResult, type StoredOutcome, writeResult } from './results.ts';

export interface AgentRunsOptions {
  readonly clock: Clock;
  /** Of results that are not settled. */
  readonly directory: string;
  readonly perform: (request: Perform, watch: { signal: AbortSignal; report: Report }) => Promise<unknown>;
  readonly isKnown: (operation: string) => boolean;
  /** Something new is to be sent. */
  readonly wake: () => void;
}

interface Run {
  readonly hold: Hold;
  readonly source?: string;
  readonly stop: AbortController;
  readonly events: EventBuffer;
  /** When it ended, in whatever way. Never rejects. */
  ended: Promise<void>;
  result?: StoredOutcome;
}

export class AgentRuns {
  readonly #options: AgentRunsOptions;
  readonly #runs = new Map<string, Run>();
  #isStopping = false;

  private constructor(options: AgentRunsOptions) {
    this.#options = options;
  }

  /** With what ended before this process began. */
  static async open(options: AgentRunsOptions): Promise<AgentRuns> {
    const runs = new AgentRuns(options);
    for (const result of await readResults(options.directory)) {
      const { runId, fence, source, untold } = result;
      const [stop, events, ended] = [new AbortController(), new EventBuffer(untold), Promise.resolve()];
      runs.#runs.set(runId, { hold: { runId, fence }, source, stop, events, ended, result });
    }
    return runs;
  }

  list(): AgentHello['runs'] {
    return [...this.#runs.values()].map(({ hold, source, result }) => ({
      ...hold,
      source,
      state: result === undefined ? ('running' as const) : ('ended' as const),
    }));
  }

  get running(): number {
    return [...this.#runs.values()].filter(({ result }) => result === undefined).length;
  }

  /** Begins it, or says that it has begun already: the same one twice is one. */
  start(request: Perform): Extract<ToServer, { kind: 'accepted' | 'refused' }> {
    const hold = { runId: request.runId, fence: request.fence };
    const known = this.#runs.get(request.runId);
    if (known?.hold.fence === hold.fence) return { kind: 'accepted', ...hold };
    const why = this.#refusal(request, known);
    if (why) return { kind: 'refused', ...hold, error: why };
    const { source } = request;
    const before = [...this.#runs.values()].filter(
      (one) => one === known || (source !== undefined && one.source === source),
    );
    for (const one of before) one.stop.abort(superseded());
    const run: Run = { hold, source, stop: new AbortController(), events: new EventBuffer(), ended: Promise.resolve() };
    this.#runs.set(hold.runId, run);
    run.ended = this.#carryOut(run, request, Promise.all(before.map(({ ended }) => ended)));
    return { kind: 'accepted', ...hold };
  }

  #refusal({ operation, fence }: Perform, known: Run | undefined): WireError | undefined {
    if (this.#isStopping) {
      return {
        code: 'agent.away',
        message: 'the agent is being stopped',
        remedy: 'It is tried again when it is back.',
      };
    }
    if (known !== undefined && known.hold.fence > fence) {
      const message = 'somebody else has been given this run since';
      return { code: 'run.conflict', message, remedy: 'Nothing has to be done.' };
    }
    if (this.#options.isKnown(operation)) return undefined;
    const remedy = 'Bring the agent to the version of the server.';
    return { code: 'usage.invalid', message: `this agent does not know the operation «${operation}»`, remedy };
  }

  async #carryOut(run: Run, request: Perform, before: Promise<unknown>): Promise<void> {
    const { clock, perform, directory, wake } = this.#options;
    const report: Report = (event) => {
      run.events.add(event);
      wake();
    };
    const startedAtMs = clock.nowMs();
    let outcome: StoredOutcome['outcome'];
    try {
      await before;
      if (run.stop.signal.aborted) throw run.stop.signal.reason;
      outcome = { ok: true, output: await perform(request, { signal: run.stop.signal, report }) };
    } catch (error) {
      const reason = reasonOf(error, run.stop.signal);
      const { code, message, remedy } = describeError(reason);
      const retry = reason instanceof HoldfastError ? { retry: reason.retry } : {};
      outcome = { ok: false, error: { code, message, remedy, ...retry } };
    }
    const { operation, source } = request;
    const result: StoredOutcome = {
      ...{ format: 1, ...run.hold, operation, source, outcome, startedAtMs },
      ...{ endedAtMs: clock.nowMs(), warnings: run.events.warnings() },
      untold: run.events.untold(),
    };
    // The same run was given again, to another fence: nobody waits for this one.
    if (this.#runs.get(run.hold.runId) !== run) return;
    // A disk that is full must not cost the result, too: then it is kept as long as this process is.
    await writeResult(directory, result).catch((error: unknown) => {
      const { code, message } = describeError(error);
      report({ type: 'warning', code, message });
    });
    run.result = result;
    wake();
  }

  /** Asks it to end; what it ends with is its result. */
  cancel({ runId, fence }: Hold, error?: WireError): void {
    const run = this.#runs.get(runId);
    if (run === undefined || run.hold.fence !== fence) return;
    run.stop.abort(error ? ended(error) : cancelled());
  }

  /** What is to be sent now, of every run at most one message: events that are not confirmed, then the result. */
  due(): ToServer[] {
    return [...this.#runs.values()].flatMap(({ hold, events, result }): ToServer[] => {
      const batch = events.batch();
      if (batch) return [{ kind: 'events', ...hold, from: batch.from, events: [...batch.events] }];
      if (!result) return [];
      const { format: _format, untold: _untold, ...message } = result;
      return [{ kind: 'result', ...message }];
    });
  }

  /** True if that moved on. */
  acknowledge({ runId, fence }: Hold, upTo: number): boolean {
    const run = this.#runs.get(runId);
    if (run === undefined || run.hold.fence !== fence || !run.events.acknowledge(upTo)) return false;
    // The server has them: its result must not tell them again.
    if (run.result) run.result = { ...run.result, warnings: run.events.warnings() };
    return true;
  }

  async settle(hold: Hold): Promise<void> {
    const run = this.#runs.get(hold.runId);
    if (run?.hold.fence === hold.fence && run.result) this.#runs.delete(hold.runId);
    await removeResult(this.#options.directory, hold);
  }

  /** The server does not trust this agent any more: nothing goes on with the secrets it gave. */
  cancelAll(error: WireError): void {
    for (const run of this.#runs.values()) if (!run.result) run.stop.abort(ended(error));
  }

  /** Ends what goes on, in order; results stay to be sent. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    for (const run of this.#runs.values()) if (!run.result) run.stop.abort(stopped());
    await Promise.all([...this.#runs.values()].map((run) => run.ended));
  }
}

/** Why it was stopped counts more than what broke when it was. */
function reasonOf(error: unknown, signal: AbortSignal): unknown {
  return signal.aborted && signal.reason instanceof HoldfastError ? signal.reason : error;
}

function superseded(): HoldfastError {
  return new HoldfastError({
    code: 'run.conflict',
    message: 'it was stopped: the server had counted it as lost and sent another one for the same source',
    remedy: 'Nothing has to be done; what was stored so far is used by the other one.',
  });
}

function stopped(): HoldfastError {
  return new HoldfastError({
    code: 'agent.away',
    message: 'the agent was stopped while it did this',
    remedy: 'Start the agent, and run it again: what was stored so far is kept and is not stored twice.',
    retry: 'later',
  });
}

function ended({ message, remedy }: WireError): HoldfastError {
  return new HoldfastError({ code: 'cancelled', message, remedy });
}
