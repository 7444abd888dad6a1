/** How far a copy is: stored bytes read, and snapshots done. The total is known once the last snapshot was walked. */
import type { Clock } from '../base/clock.ts';
import type { Report } from '../model/run.ts';
import { type StoredSnapshot, sourceOf } from '../model/snapshot.ts';

const everyMs = 100;

export class CopyMeter {
  readonly #report: Report;
  readonly #clock: Clock;
  readonly #snapshots: number;
  #done = 0;
  #bytes = 0;
  #expected = 0;
  #isComplete = false;
  #reportedAtMs = Number.NEGATIVE_INFINITY;

  constructor(report: Report, clock: Clock, snapshots: number) {
    this.#report = report;
    this.#clock = clock;
    this.#snapshots = snapshots;
  }

  /** A snapshot was walked: this much more is to come. */
  expect(bytes: number, isLast: boolean): void {
    this.#expected += bytes;
    this.#isComplete = isLast;
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#reportedAtMs < everyMs) return;
    this.#reportedAtMs = nowMs;
    this.#emit();
  }

  finished(snapshot: StoredSnapshot): void {
    this.#done++;
    this.#emit(`${sourceOf(snapshot) ?? snapshot.paths[0] ?? ''} ${snapshot.time.slice(0, 16)}`.trim());
  }

  #emit(subject?: string): void {
    this.#report({
      type: 'progress',
      stage: 'copy',
      bytesDone: this.#bytes,
      ...(this.#isComplete ? { bytesTotal: this.#expected } : {}),
      itemsDone: this.#done,
      itemsTotal: this.#snapshots,
      ...(subject === undefined ? {} : { subject }),
    });
  }
}
