/** Counts what passes and reports it now and then: at most ten times a second, whatever the number of files. */
import type { Clock } from '../base/clock.ts';
import type { Report } from '../model/run.ts';

const everyMs = 100;

export class ProgressMeter {
  bytesDone = 0;
  itemsDone = 0;
  readonly #report: Report;
  readonly #clock: Clock;
  readonly #stage: string;
  readonly #bytesTotal: number | undefined;
  #reportedAtMs = 0;

  constructor(report: Report, clock: Clock, stage: string, bytesTotal?: number) {
    this.#report = report;
    this.#clock = clock;
    this.#stage = stage;
    this.#bytesTotal = bytesTotal;
  }

  add(bytes: number, subject?: string): void {
    this.bytesDone += bytes;
    this.itemsDone++;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#reportedAtMs < everyMs) return;
    this.#reportedAtMs = nowMs;
    this.emit(subject);
  }

  emit(subject?: string): void {
    this.#report({
      type: 'progress',
      stage: this.#stage,
      bytesDone: this.bytesDone,
      itemsDone: this.itemsDone,
      ...(this.#bytesTotal === undefined ? {} : { bytesTotal: this.#bytesTotal }),
      ...(subject === undefined ? {} : { subject }),
    });
  }

  warn(code: string, message: string, subject?: string): void {
    this.#report({ type: 'warning', code, message, ...(subject === undefined ? {} : { subject }) });
  }
}
