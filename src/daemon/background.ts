/** What goes on beside requests, until the server stops: a fault is logged and the work begun anew a while later. */
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';

const againMs = 10_000;

export class Background {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #stop = new AbortController();
  readonly #tasks: Promise<void>[] = [];

  constructor({ clock, log }: { readonly clock: Clock; readonly log: Log }) {
    this.#clock = clock;
    this.#log = log;
  }

  /** `work` goes on until its signal is aborted. */
  add(name: string, work: (signal: AbortSignal) => Promise<void>): void {
    this.#tasks.push(this.#keep(name, work));
  }

  /** Does it now, and then again and again. */
  every(name: string, everyMs: number, work: () => Promise<void>): void {
    this.add(name, async (signal) => {
      while (!signal.aborted) {
        await work();
        await this.#pause(everyMs);
      }
    });
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#tasks);
  }

  async #keep(name: string, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await work(signal);
      } catch (error) {
        if (!signal.aborted) this.#log.error({ task: name, err: messageOf(error) }, 'work beside requests failed');
      }
      await this.#pause(againMs);
    }
  }

  /** Ends early when the server stops. */
  async #pause(ms: number): Promise<void> {
    await this.#clock.sleep(ms, { signal: this.#stop.signal, background: true }).catch(() => undefined);
  }
}
