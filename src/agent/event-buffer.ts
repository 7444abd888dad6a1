/**
 * What a run told and the server has not confirmed yet. While the server is away the newest progress replaces the one
 * before, and the oldest notes and stages give way beyond a bound; warnings always stay. Numbers are given when a batch is
 * made, so what was left out leaves no gap. Memory: `mostTold` notes and stages, and the warnings.
 */
import type { RunEvent } from '../model/run.ts';
import { mostEvents } from './protocol.ts';

const mostTold = 1000;

export interface Batch {
  /** Number of the first. */
  readonly from: number;
  readonly events: readonly RunEvent[];
}

export class EventBuffer {
  #events: RunEvent[] = [];
  #told = 0;
  #leftOut = 0;
  #acknowledged = 0;
  /** Out, and not confirmed: sent again as it is on the next connection. */
  #batch: Batch | undefined;

  add(event: RunEvent): void {
    if (event.type === 'progress') this.#events = this.#events.filter((one) => one.type !== 'progress');
    if (event.type === 'note' || event.type === 'stage') this.#makeRoom();
    this.#events.push(event);
  }

  #makeRoom(): void {
    if (this.#told < mostTold) {
      this.#told++;
      return;
    }
    const oldest = this.#events.findIndex((one) => one.type === 'note' || one.type === 'stage');
    this.#events.splice(oldest, 1);
    this.#leftOut++;
  }

  get isEmpty(): boolean {
    return this.#batch === undefined && this.#events.length === 0;
  }

  /** The batch that is out, or the next one; `undefined` if there is nothing to say. */
  batch(): Batch | undefined {
    if (this.#batch || this.#events.length === 0) return this.#batch;
    const note: RunEvent = { type: 'note', message: `${this.#leftOut} notes were left out while the server was away` };
    const first = this.#leftOut > 0 ? [note] : [];
    this.#leftOut = 0;
    const taken = this.#events.splice(0, mostEvents - first.length);
    this.#told -= taken.filter((one) => one.type === 'note' || one.type === 'stage').length;
    this.#batch = { from: this.#acknowledged + 1, events: [...first, ...taken] };
    return this.#batch;
  }

  /** True if that was the batch that is out. */
  acknowledge(upTo: number): boolean {
    const batch = this.#batch;
    if (!batch || upTo < batch.from + batch.events.length - 1) return false;
    this.#acknowledged = upTo;
    this.#batch = undefined;
    return true;
  }

  /** Of the warnings that are not confirmed. */
  warnings(): string[] {
    const waiting = [...(this.#batch?.events ?? []), ...this.#events];
    return waiting.flatMap((one) => (one.type === 'warning' ? [one.message] : []));
  }
}
