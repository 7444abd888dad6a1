/** Actions performed in this process, where no server queues runs: they go on while nobody waits for them, and are remembered until it ends. */
import type { Clock } from '../base/clock.ts';
import { sortableId } from '../base/sortable-id.ts';
import type { Report, RunEvent } from '../model/run.ts';
import { describeError, type ErrorDescription } from '../operations/describe-error.ts';

export interface LocalRun {
  readonly id: string;
  readonly kind: string;
  readonly source?: string;
  readonly startedAtMs: number;
  state: 'running' | 'succeeded' | 'failed';
  endedAtMs?: number;
  result?: unknown;
  error?: ErrorDescription;
  /** The newest, oldest first; progress is only the last. */
  readonly log: { readonly atMs: number; readonly event: RunEvent }[];
}

export interface LocalTask {
  readonly kind: string;
  readonly source?: string;
  /** Gives whether it went well, and what came of it. */
  readonly perform: (report: Report) => Promise<{ readonly ok: boolean; readonly result: unknown }>;
}

const mostRuns = 100;
const mostLines = 200;
/** An answer that takes longer than this is not waited for. */
const patienceMs = 20_000;

export class LocalRuns {
  readonly #runs = new Map<string, LocalRun>();
  readonly #going = new Set<Promise<void>>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** As it is when it ended, or after a while. */
  async start({ kind, source, perform }: LocalTask): Promise<LocalRun> {
    const startedAtMs = this.#clock.nowMs();
    const run: LocalRun = {
      ...{ id: sortableId(startedAtMs), kind, startedAtMs, state: 'running', log: [] },
      ...(source === undefined ? {} : { source }),
    };
    this.#runs.set(run.id, run);
    for (const [id, { state }] of this.#runs) {
      if (this.#runs.size <= mostRuns) break;
      if (state !== 'running') this.#runs.delete(id);
    }
    const going = this.#perform(run, perform);
    this.#going.add(going);
    void going.then(() => this.#going.delete(going));
    const waited = new AbortController();
    const patience = this.#clock.sleep(patienceMs, { signal: waited.signal, background: true }).catch(() => undefined);
    await Promise.race([going, patience]);
    waited.abort();
    return run;
  }

  get(id: string): LocalRun | undefined {
    return this.#runs.get(id) ?? [...this.#runs.values()].find((run) => run.id.startsWith(id));
  }

  /** Newest first. */
  list(): LocalRun[] {
    return [...this.#runs.values()].toReversed();
  }

  /** Resolves when all have ended; they are not stopped by it. */
  async settled(): Promise<void> {
    await Promise.all(this.#going);
  }

  /** Never rejects: how it went is in the run. */
  async #perform(run: LocalRun, perform: LocalTask['perform']): Promise<void> {
    try {
      const { ok, result } = await perform((event) => this.#tell(run, event));
      run.result = result;
      run.state = ok ? 'succeeded' : 'failed';
    } catch (error) {
      run.error = describeError(error);
      run.state = 'failed';
    }
    run.endedAtMs = this.#clock.nowMs();
  }

  #tell({ log }: LocalRun, event: RunEvent): void {
    if (event.type === 'progress' && log.at(-1)?.event.type === 'progress') log.pop();
    log.push({ atMs: this.#clock.nowMs(), event });
    if (log.length > mostLines) log.shift();
  }
}
