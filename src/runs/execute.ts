/**
 * How a run is performed. By whom is decided outside (the operations here, or an agent far away); that it is done once, in
 * time and to its end is decided here.
 */
import type { Clock } from '../base/clock.ts';
import type { Retry } from '../base/errors.ts';
import type { DueRun } from '../catalogue/runs.ts';
import type { RunEvent } from '../model/run.ts';
import type { RunError, RunRecord } from '../model/run-record.ts';

export interface Performed {
  /** False: it came to its end, but what was to be done is not, or not wholly, done; `error` says why. */
  readonly ok: boolean;
  readonly error?: RunError & { readonly retry?: Retry };
  /** Nothing was done, and that is no fault: the run ends as cancelled, for this reason. */
  readonly leftOut?: RunError;
  /** Plain JSON, without secrets. */
  readonly result?: unknown;
  readonly bytes?: number;
  readonly addedBytes?: number;
  readonly snapshot?: string;
  /** What it was done with, where the run does not name one: then it is that of the run and of what is told of it. */
  readonly repository?: string;
  /** What comes of it: queued together with its end, each once by its `slotKey`. */
  readonly next?: readonly DueRun[];
}

export interface ExecuteUses {
  readonly clock: Clock;
  /** Aborted when somebody cancels, the time is over, or the run is not ours any more: end at once. */
  readonly signal: AbortSignal;
  /** `number`: of who performs it elsewhere, counts what it tells from 1, and may tell it again: see `lastTold`. */
  readonly report: (event: RunEvent, number?: number) => void;
  /** Resolves when what was reported so far is written down, however long that takes. Absent where nothing is. */
  readonly written?: () => Promise<void>;
}

/** Rejects if it cannot be performed, and when the signal is aborted. Never goes on after it has settled. */
export type Execute = (run: RunRecord, uses: ExecuteUses) => Promise<Performed>;
