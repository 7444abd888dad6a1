/** Within one process: the scheduler hands over to the worker beside it. */
import type { Clock } from '../../base/clock.ts';
import { hasCode } from '../../base/errors.ts';
import type { Handed, Queue, Taking } from './queue.ts';

/** A safety net only: whoever has news rings. */
const lookMs = 600_000;

export class EmbeddedQueue implements Queue {
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Handed>();
  readonly #rings = new Set<AbortController>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async hand(runs: readonly Handed[]): Promise<void> {
    for (const run of runs) this.#waiting.set(run.id, run);
    this.wake();
  }

  wake(): void {
    for (const ring of this.#rings) ring.abort('woken');
  }

  async serve({ lanes, room, take }: Taking, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const ring = new AbortController();
      this.#rings.add(ring);
      const ready = [...this.#waiting.values()].filter((one) => lanes.includes(one.lane)).slice(0, Math.max(0, room()));
      for (const { id } of ready) {
        this.#waiting.delete(id);
        await take(id);
      }
      if (ready.length > 0) {
        this.#rings.delete(ring);
        continue;
      }
      try {
        await this.#clock.sleep(lookMs, { signal: AbortSignal.any([signal, ring.signal]) });
      } catch (error) {
        if (!hasCode(error, 'cancelled')) throw error;
      } finally {
        this.#rings.delete(ring);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#waiting.clear();
  }
}
