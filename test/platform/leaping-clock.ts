/** A clock for simulated months: time passes as it does, and leaps over the hours in which nothing is to be done. */
import type { Clock } from '../../src/base/clock.ts';
import { cancelled } from '../../src/base/errors.ts';

interface Sleeper {
  readonly untilMs: number;
  timer: NodeJS.Timeout;
  readonly wake: () => void;
}

export class LeapingClock implements Clock {
  readonly #startedMs = performance.now();
  readonly #sleepers = new Set<Sleeper>();
  #offsetMs: number;

  constructor(startMs: number) {
    this.#offsetMs = startMs;
  }

  nowMs(): number {
    return Math.floor(this.#offsetMs + this.#elapsedMs());
  }

  monotonicMs(): number {
    return this.#offsetMs + this.#elapsedMs();
  }

  sleep(
    ms: number,
    { signal, background = false }: { signal?: AbortSignal; background?: boolean } = {},
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(cancelled(signal.reason));
      const stop = (): void => {
        clearTimeout(sleeper.timer);
        this.#sleepers.delete(sleeper);
        reject(cancelled(signal?.reason));
      };
      const wake = (): void => {
        clearTimeout(sleeper.timer);
        this.#sleepers.delete(sleeper);
        signal?.removeEventListener('abort', stop);
        resolve();
      };
      const timer = setTimeout(wake, Math.min(ms, 2 ** 31 - 1));
      if (background) timer.unref();
      const sleeper: Sleeper = { untilMs: this.monotonicMs() + ms, timer, wake };
      this.#sleepers.add(sleeper);
      signal?.addEventListener('abort', stop, { once: true });
    });
  }

  /** Forward only. Who sleeps until then wakes. */
  leapTo(atMs: number): void {
    this.#offsetMs += Math.max(0, atMs - this.monotonicMs());
    const now = this.monotonicMs();
    for (const sleeper of [...this.#sleepers].toSorted((a, b) => a.untilMs - b.untilMs)) {
      if (sleeper.untilMs <= now) sleeper.wake();
      else {
        clearTimeout(sleeper.timer);
        sleeper.timer = setTimeout(sleeper.wake, Math.min(sleeper.untilMs - now, 2 ** 31 - 1));
      }
    }
  }

  #elapsedMs(): number {
    return performance.now() - this.#startedMs;
  }
}
