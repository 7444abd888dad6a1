/** What a configuration asks to be done by itself, and within which limits: all that the scheduler and the workers see of it. */
import type { RunKind, RunRecord } from '../model/run-record.ts';
import type { DayHours } from './day-hours.ts';
import type { Timing } from './firing-times.ts';
import type { Promised } from './overdue.ts';

export interface Schedule {
  /** `kind/policy/source/repository`, empty where there is none: what makes a due run unique, together with its slot. */
  readonly key: string;
  readonly kind: RunKind;
  readonly source?: string;
  readonly repository?: string;
  readonly policy?: string;
  readonly host: string;
  readonly timing: Timing;
  readonly jitterMs: number;
  /** What was missed while nothing ran is done once, late; otherwise it is only reported. */
  readonly catchUp: boolean;
  readonly window?: RunWindow;
  /** It has no times of its own and follows those of another one. */
  readonly follows?: boolean;
  readonly input: RunRecord['input'];
}

/** Nothing begins outside of it; what is due waits. */
export interface RunWindow extends DayHours {
  readonly timezone?: string;
}
export interface Retrying {
  /** Of one due run in all, the first included. */
  readonly attempts: number;
  /** Before the second; each further wait is twice as long. */
  readonly delayMs: number;
}

export interface RunLimits {
  readonly runs: number;
  readonly perHost: number;
  readonly perRepository: number;
}

/** A repository that a run works on, and beside whom. */
export interface Touched {
  readonly repository: string;
  /** shared: beside others · alone: beside nobody, as its lock wants it (prune) · checked: beside others, one check at a time. */
  readonly mode: 'shared' | 'checked' | 'alone';
}

/** What is asked about a run: enough of it to answer. */
export type PlannedRun = Pick<RunRecord, 'kind' | 'source' | 'repository' | 'policy' | 'slotMs' | 'input' | 'trigger'>;

export interface RunPlan {
  readonly schedules: readonly Schedule[];
  readonly limits: RunLimits;
  /** Of policies that have a schedule. */
  readonly timings: ReadonlyMap<string, Timing>;
  readonly touches: (run: PlannedRun) => readonly Touched[];
  /** What its maintenance window stops, as people call it: two that stop the same are not done at once. */
  readonly stops: (run: PlannedRun) => readonly string[];
  /** Nothing begins outside of it; a run that somebody asked for has none. */
  readonly windowOf: (run: PlannedRun) => RunWindow | undefined;
  /** Policies whose backups come first. */
  readonly after: (run: PlannedRun) => readonly string[];
  readonly retrying: (run: PlannedRun) => Retrying;
  /** Absent: as long as it takes. */
  readonly timeoutMs: (run: PlannedRun) => number | undefined;
  /** What sources promise, for who watches whether it is kept. */
  readonly promised: readonly Promised[];
  readonly history: { readonly runsMs: number; readonly logsMs: number; readonly eventsMs: number };
}
