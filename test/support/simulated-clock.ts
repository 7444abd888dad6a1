/** Time that goes by as fast as there is nothing to do: for years of schedules in seconds. One thread, no real waiting. */
import type { Clock } from '../../src/base/clock.ts';
import { cancelled } from '../../src/base/errors.ts';

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly fire: () => void;
  gone: boolean;
}

export class SimulatedClock implements Clock {
  #nowMs: number;
  #count = 0;
  /** A binary heap by time, then by order. */
  readonly #heap: Timer[] = [];

  constructor(startMs: number) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  sleep(ms: number, { signal }: { signal?: AbortSignal; background?: boolean } = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(cancelled(signal.reason));
      const stop = (): void => {
        timer.gone = true;
        reject(cancelled(signal?.reason));
      };
      const timer: Timer = {
        atMs: this.#nowMs + Math.max(0, ms),
        order: this.#count++,
        gone: false,
        fire: () => {
          signal?.removeEventListener('abort', stop);
          resolve();
        },
      };
      signal?.addEventListener('abort', stop, { once: true });
      this.#push(timer);
    });
  }

  /** Everything that can be done now is done; then time goes on to the next timer, until `untilMs`. */
  async advance(untilMs: number, isOver: () => boolean = () => false): Promise<void> {
    for (;;) {
      await settled();
      if (isOver()) return;
      const next = this.#heap[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#pop();
      if (next.gone) continue;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.fire();
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let i = heap.push(timer) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!isBefore(heap[i], heap[parent])) break;
      [heap[i], heap[parent]] = [heap[parent], heap[i]];
      i = parent;
    }
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    heap[0] = last;
    for (let i = 0; ; ) {
      const left = 2 * i + 1;
      let least = i;
      if (left < heap.length && isBefore(heap[left], heap[least])) least = left;
      if (left + 1 < heap.length && isBefore(heap[left + 1], heap[least])) least = left + 1;
      if (least === i) return;
      [heap[i], heap[least]] = [heap[least], heap[i]];
      i = least;
    }
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** When no promise is left that could go on by itself. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
