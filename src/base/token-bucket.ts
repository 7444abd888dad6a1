/**
 * A token bucket: bytes pass at a rate that may change with the time of day, in the order in which they asked. Over any time
 * t not more than `burstMs` of the rate, t × rate and one piece have passed.
 */
import type { Clock } from './clock.ts';

/** How much of the rate may be saved up while nothing passes. */
const burstMs = 250;
/** The rate is looked up again this often while somebody waits. */
const lookMs = 1000;

export class TokenBucket {
  readonly #clock: Clock;
  readonly #rate: () => number | undefined;
  /** Bytes that may pass now; below 0 while a piece is paid off. */
  #level = 0;
  #settledAtMs: number;
  #last: Promise<void> = Promise.resolve();

  /** `rate`: bytes a second now, `undefined` for no limit. */
  constructor(clock: Clock, rate: () => number | undefined) {
    this.#clock = clock;
    this.#rate = rate;
    this.#settledAtMs = clock.monotonicMs();
  }

  /** Resolves when so many bytes may pass. A piece passes whole once those before it are paid off. */
  take(bytes: number, signal?: AbortSignal): Promise<void> {
    const turn = this.#last.then(() => this.#wait(bytes, signal));
    // One that was cancelled lets the next one in.
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #wait(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    for (;;) {
      const rate = this.#settle();
      if (rate === undefined) return;
      if (this.#level >= 0) break;
      const restMs = Math.ceil((-this.#level / rate) * 1000);
      await this.#clock.sleep(Math.min(Math.max(restMs, 1), lookMs), { signal });
    }
    this.#level -= bytes;
  }

  #settle(): number | undefined {
    const nowMs = this.#clock.monotonicMs();
    const passedMs = nowMs - this.#settledAtMs;
    this.#settledAtMs = nowMs;
    const rate = this.#rate();
    if (rate === undefined) this.#level = 0;
    else this.#level = Math.min((rate * burstMs) / 1000, this.#level + (rate * passedMs) / 1000);
    return rate;
  }
}
