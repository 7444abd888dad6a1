/** One line that says how far a run is: stage, share, bytes, rate, time to go, and what is being worked on. */
import { formatBytes, formatDuration } from '../base/bytes.ts';
import { printableName } from '../base/names.ts';
import type { RunEvent } from '../model/run.ts';

export type Progress = Extract<RunEvent, { type: 'progress' }>;

/** Seconds over which the rate is averaged. */
const windowMs = 10_000;

export class ProgressLine {
  #stage = '';
  #marks: { atMs: number; bytes: number }[] = [];

  /** The text for this state at `nowMs` (monotonic), at most `columns` wide. */
  format(progress: Progress, nowMs: number, columns: number): string {
    const rate = this.#rate(progress, nowMs);
    const { bytesDone, bytesTotal } = progress;
    const left = bytesTotal === undefined ? undefined : Math.max(0, bytesTotal - bytesDone);
    const parts = [
      progress.stage,
      bytesTotal ? `${Math.min(100, (bytesDone / bytesTotal) * 100).toFixed(1)} %` : undefined,
      bytesTotal
        ? `${formatBytes(bytesDone)} of ${formatBytes(bytesTotal)}`
        : bytesDone
          ? formatBytes(bytesDone)
          : undefined,
      itemsOf(progress),
      rate === undefined ? undefined : `${formatBytes(rate)}/s`,
      left && rate ? `${formatDuration((left / rate) * 1000)} to go` : undefined,
      progress.subject === undefined ? undefined : printableName(progress.subject),
    ];
    return shorten(parts.filter((part) => part !== undefined).join(' · '), columns);
  }

  /** Bytes a second over the last seconds; `undefined` until there is something to divide. */
  #rate(progress: Progress, nowMs: number): number | undefined {
    if (progress.stage !== this.#stage || progress.bytesDone < (this.#marks.at(-1)?.bytes ?? 0)) this.#marks = [];
    this.#stage = progress.stage;
    this.#marks.push({ atMs: nowMs, bytes: progress.bytesDone });
    while (this.#marks.length > 2 && this.#marks[0].atMs < nowMs - windowMs) this.#marks.shift();
    const [first] = this.#marks;
    return nowMs - first.atMs < 200 ? undefined : ((progress.bytesDone - first.bytes) / (nowMs - first.atMs)) * 1000;
  }
}

/** Items are worth showing where they are what is counted: blobs of a file are not. */
function itemsOf({ bytesDone, itemsDone, itemsTotal }: Progress): string | undefined {
  if (itemsTotal !== undefined) return `${itemsDone ?? 0} of ${itemsTotal}`;
  return itemsDone && bytesDone === 0 ? `${itemsDone} items` : undefined;
}

/** Cuts in the middle of the last part, so that both ends of a long path are seen. */
function shorten(text: string, columns: number): string {
  const chars = [...text];
  if (chars.length <= columns) return text;
  const tail = Math.floor(columns / 3);
  return `${chars.slice(0, columns - tail - 1).join('')}…${chars.slice(chars.length - tail).join('')}`;
}
