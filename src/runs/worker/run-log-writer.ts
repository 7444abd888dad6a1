/**
 * What a run tells, on its way into the catalogue: lines in batches, progress at most once a second. Nothing on the run's
 * path waits for it; while the catalogue is away the newest lines are kept, up to a bound.
 */
import type { Clock } from '../../base/clock.ts';
import { hasCode } from '../../base/errors.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { appendLog, type ToldEvent } from '../../catalogue/run-log.ts';
import { type Hold, saveProgress } from '../../catalogue/runs.ts';
import type { RunEvent } from '../../model/run.ts';

type Progress = Extract<RunEvent, { type: 'progress' }>;

const flushMs = 1000;
/** Lines ring; this is for those that could not be written. */
const idleMs = 10_000;
/** Of lines that wait; about 300 bytes each. */
const mostWaiting = 10_000;

export class RunLogWriter {
  readonly #catalogue: Catalogue;
  readonly #hold: Hold;
  readonly #clock: Clock;
  #waiting: ToldEvent[] = [];
  #dropped = 0;
  #progress: Progress | undefined;
  #warnings: number;
  /** Lines that were reported, and how many of them are still to be written. */
  #reported = 0;
  #unwritten = 0;
  /** Who waits for lines up to that one. */
  #waiters: { readonly upTo: number; readonly resolve: () => void }[] = [];
  #turn: Promise<void> = Promise.resolve();
  /** Rung when there is something to write. */
  #ring = new AbortController();

  /** `warnings`: how many the log has already, of a process before this one. */
  constructor(catalogue: Catalogue, hold: Hold, clock: Clock, warnings = 0) {
    this.#catalogue = catalogue;
    this.#hold = hold;
    this.#clock = clock;
    this.#warnings = warnings;
  }

  /** How many warnings were told, also to the processes before this one. */
  get warnings(): number {
    return this.#warnings;
  }

  readonly report = (event: RunEvent, number?: number): void => {
    if (event.type === 'progress') {
      this.#progress = event;
      this.#ring.abort('told');
      return;
    }
    if (event.type === 'warning') this.#warnings++;
    this.#waiting.push({ atMs: this.#clock.nowMs(), event, number });
    this.#reported++;
    this.#unwritten++;
    this.#ring.abort('told');
    if (this.#waiting.length <= mostWaiting) return;
    this.#waiting.shift();
    this.#unwritten--;
    this.#dropped++;
  };

  /** Resolves when every line that was reported before is in the catalogue: at once if it can be, else with what follows. */
  readonly written = async (): Promise<void> => {
    const upTo = this.#reported;
    if (this.#unwritten === 0) return;
    const waiter = Promise.withResolvers<void>();
    this.#waiters.push({ upTo, resolve: waiter.resolve });
    await this.flush().catch(() => undefined); // told by who follows, when it fails there
    await waiter.promise;
  };

  /** Writes from time to time until the signal is aborted. What fails is written with the next. */
  async follow(signal: AbortSignal, onError: (error: unknown) => void): Promise<void> {
    while (!signal.aborted) {
      await this.#sleepOr(idleMs, AbortSignal.any([signal, this.#ring.signal]));
      await this.#sleepOr(flushMs, signal);
      if (signal.aborted) return;
      this.#ring = new AbortController();
      if (this.#progress || this.#waiting.length > 0) await this.flush().catch(onError);
    }
  }

  async #sleepOr(ms: number, signal: AbortSignal): Promise<void> {
    try {
      await this.#clock.sleep(ms, { signal, background: true });
    } catch (error) {
      if (!hasCode(error, 'cancelled')) throw error;
    }
  }

  /** One at a time: lines stay in their order. */
  async flush(): Promise<void> {
    const turn = this.#turn.then(() => this.#write());
    this.#turn = turn.catch(() => undefined);
    await turn;
  }

  async #write(): Promise<void> {
    const progress = this.#progress;
    this.#progress = undefined;
    if (progress) await saveProgress(this.#catalogue, this.#hold, progress);
    const told = this.#waiting;
    if (told.length === 0) return;
    this.#waiting = [];
    try {
      await appendLog(this.#catalogue, this.#hold, this.#withDropped(told));
      this.#dropped = 0;
      this.#unwritten -= told.length;
      this.#tellWritten();
    } catch (error) {
      this.#waiting = [...told, ...this.#waiting];
      throw error;
    }
  }

  #tellWritten(): void {
    const written = this.#reported - this.#unwritten;
    for (const { upTo, resolve } of this.#waiters) if (upTo <= written) resolve();
    this.#waiters = this.#waiters.filter(({ upTo }) => upTo > written);
  }

  #withDropped(told: readonly ToldEvent[]): readonly ToldEvent[] {
    if (this.#dropped === 0) return told;
    const message = `${this.#dropped} lines before this one were lost: the catalogue was away for too long`;
    return [{ atMs: told[0].atMs, event: { type: 'note', message } }, ...told];
  }
}
