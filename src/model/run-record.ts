/**
 * One execution of anything, as it is remembered.
 *
 *     queued ──▶ running ──▶ succeeded | failed | cancelled
 *       │
 *       ├──▶ cancelled   somebody took it back before it began
 *       └──▶ missed      its time went by while nothing could run it; kept so that it is reported
 *
 * A final state never changes. Only who holds the run's lease moves it out of `running`, or whoever closes a run whose
 * lease has ended (`failed` with `run.lost`). A retry is a run of its own that names the one before it.
 */
import type { RunEvent } from './run.ts';

export const runKinds = ['backup', 'copy', 'forget', 'prune', 'check', 'drill', 'restore'] as const;
export type RunKind = (typeof runKinds)[number];

export const runStates = ['queued', 'running', 'succeeded', 'failed', 'cancelled', 'missed'] as const;
export type RunState = (typeof runStates)[number];

export const finalStates: ReadonlySet<RunState> = new Set(['succeeded', 'failed', 'cancelled', 'missed']);

/** schedule: its time came · catch-up: its time came while nothing ran · after: what it waited for ended · retry: the one before failed · manual: somebody asked. */
export const runTriggers = ['schedule', 'catch-up', 'after', 'retry', 'manual'] as const;
export type RunTrigger = (typeof runTriggers)[number];

export interface RunError {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
}

export interface RunRecord {
  /** Sorts by the time it was made: 48 bits of milliseconds and 80 random ones, in Crockford's base 32 (26 characters). */
  readonly id: string;
  readonly kind: RunKind;
  /** What it works on; a repository's own runs (prune, check) have no source. */
  readonly source?: string;
  readonly repository?: string;
  /** The host its source is on, for limits; `local` is the worker's own machine. */
  readonly host: string;
  readonly policy?: string;
  readonly trigger: RunTrigger;
  /** The instant it was due by its schedule; absent for what somebody asked for. */
  readonly slotMs?: number;
  readonly state: RunState;
  /** 1 for the first. */
  readonly attempt: number;
  /** The run this one repeats. */
  readonly retryOf?: string;
  /** Not to be started earlier. */
  readonly notBeforeMs: number;
  readonly queuedAtMs: number;
  /** Why it has not begun yet, while it is queued: a clause that follows «because». */
  readonly waits?: string;
  readonly startedAtMs?: number;
  readonly endedAtMs?: number;
  /** Who executes it. */
  readonly worker?: string;
  /** Who asked: `schedule`, or the name of a user or token. */
  readonly askedBy: string;
  readonly cancelRequested: boolean;
  /** Input of the operation, beyond source and repository. No secrets. */
  readonly input: Readonly<Record<string, unknown>>;
  /** The newest progress while it runs, the last one afterwards. */
  readonly progress?: Extract<RunEvent, { type: 'progress' }>;
  readonly error?: RunError;
  /** What the operation gave, as JSON. */
  readonly result?: unknown;
  /** Taken from the result, for lists: read from the source, new in the repository, and the snapshot. */
  readonly bytes?: number;
  readonly addedBytes?: number;
  readonly snapshot?: string;
}

/** One line of a run's log. */
export interface RunLogLine {
  readonly runId: string;
  /** From 1, without gaps. */
  readonly seq: number;
  readonly atMs: number;
  readonly event: RunEvent;
}
