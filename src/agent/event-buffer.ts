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
  #events: RunEvent[];
  #told: number;
  #leftOut = 0;
  #acknowledged: number;
  /** Out, and not confirmed: sent again as it is on the next connection. */
  #batch: Batch | undefined;

  /** `untold`: what a buffer before this one had left. */
  constructor(untold: Batch = { from: 1, events: [] }) {
    this.#events = [...untold.events];
    this.#told = countTold(this.#events);
    this.#acknowledged = untold.from - 1;
  }

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
    const first = this.#leftOutNote();
    this.#leftOut = 0;
    const taken = this.#events.splice(0, mostEvents - first.length);
    this.#told -= countTold(taken);
    this.#batch = { from: this.#acknowledged + 1, events: [...first, ...taken] };
    return this.#batch;
  }

  #leftOutNote(): RunEvent[] {
    if (this.#leftOut === 0) return [];
    return [{ type: 'note', message: `${this.#leftOut} notes were left out while the server was away` }];
  }

  /** All that is not confirmed, under the numbers that it has or will have if nothing is added. */
  untold(): Batch {
    const { from, events } = this.#batch ?? { from: this.#acknowledged + 1, events: [] };
    return { from, events: [...events, ...this.#leftOutNote(), ...this.#events] };
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
    return this.untold().events.flatMap((one) => (one.type === 'warning' ? [one.message] : []));
  }
}

/** Of those that have a bound. */
function countTold(events: readonly RunEvent[]): number {
  return events.filter((one) => one.type === 'note' || one.type === 'stage').length;
}
