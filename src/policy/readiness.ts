/** What is not safely restorable now, and why: a pure judgement over facts, with its reasons. */
import { formatDuration } from '../base/bytes.ts';

/** Without a schedule, a snapshot older than this is too old; also the usual patience with a proof. */
const unscheduledMs = 36 * 3_600_000;
const usualProofMs = 8 * 86_400_000;
/** One missed run may be made good by the next; two are a fault. */
const patience = 2;

/** What the plan and the place allow. */
export interface Timing {
  /** Longest time between two backups, and two drills, that the policy plans. */
  readonly backupEveryMs?: number;
  readonly drillEveryMs?: number;
  /** False where somebody decided that nothing is drilled there: no proof is expected, but one that failed counts. */
  readonly isDrilled?: boolean;
  /** The repository is not always there: its newest snapshot may become this old. */
  readonly mayBeAwayMs?: number;
}

/** How the last run of each kind ended, where runs are remembered. */
export interface RunFacts {
  readonly backup?: LastRun;
  readonly drill?: LastRun;
}

export interface LastRun {
  readonly state: 'succeeded' | 'failed' | 'cancelled' | 'missed';
  readonly endedAtMs: number;
  readonly repository?: string;
  readonly error?: { readonly message: string };
}

export interface SourceFacts extends Timing {
  readonly nowMs: number;
  /** The newest snapshot in one repository. */
  readonly newest?: { readonly id: string; readonly timeMs: number };
  /** The last drill of any snapshot of the source in that repository, and the last one that passed. */
  readonly lastProof?: {
    readonly snapshot: string;
    readonly startedAtMs: number;
    readonly verdict: 'passed' | 'failed';
  };
  readonly lastPassed?: { readonly startedAtMs: number };
  readonly runs?: RunFacts;
  /** Snapshots that are in the source's first repository, should be in this one, and are newer than all in it. */
  readonly behind?: number;
}

export interface Concern {
  readonly kind:
    | 'never-backed-up'
    | 'snapshot-old'
    | 'copies-behind'
    | 'away-too-long'
    | 'never-proven'
    | 'proof-failed'
    | 'proof-old'
    | 'backup-failed'
    | 'backup-missed'
    | 'drill-failed'
    | 'drill-missed';
  readonly message: string;
}

/** Empty if the source can be restored, as far as is known. */
export function concernsAbout(facts: SourceFacts): Concern[] {
  const { newest } = facts;
  if (!newest) return [{ kind: 'never-backed-up', message: 'never backed up' }, ...concernsAboutRuns(facts)];
  return [
    ...concernsAboutRuns(facts),
    ...concernAboutAge(facts, newest.timeMs),
    ...concernAboutCopies(facts),
    ...concernAboutProof(facts),
  ];
}

/** How old the newest snapshot and the last drill that passed may become before they are a concern; without `proofMs` none is needed. */
export function limitsOf({ backupEveryMs, drillEveryMs, isDrilled = true, mayBeAwayMs = 0 }: Timing): {
  readonly snapshotMs: number;
  readonly proofMs?: number;
} {
  return {
    snapshotMs: Math.max(backupEveryMs === undefined ? unscheduledMs : patience * backupEveryMs, mayBeAwayMs),
    ...(isDrilled
      ? { proofMs: Math.max(drillEveryMs === undefined ? usualProofMs : patience * drillEveryMs, mayBeAwayMs) }
      : {}),
  };
}

/**
 * The last instant at which there is still no concern about a source that is safe now, as long as nothing happens to it. A
 * concern there is does not go by itself: time alone only ever makes it worse.
 */
export function safeUntilMs({ newest, lastProof, lastPassed, ...timing }: SourceFacts): number {
  const limits = limitsOf(timing);
  const provenMs = (lastPassed ?? lastProof)?.startedAtMs ?? Number.NEGATIVE_INFINITY;
  const provenUntilMs = limits.proofMs === undefined ? Number.POSITIVE_INFINITY : provenMs + limits.proofMs;
  return Math.min((newest?.timeMs ?? Number.NEGATIVE_INFINITY) + limits.snapshotMs, provenUntilMs);
}

/** A snapshot or proof that came afterwards, by whatever way, makes good for the run. */
function concernsAboutRuns({ nowMs, newest, lastProof, runs = {} }: SourceFacts): Concern[] {
  const since = { backup: newest?.timeMs ?? 0, drill: lastProof?.startedAtMs ?? 0 };
  return (['backup', 'drill'] as const).flatMap((kind): Concern[] => {
    const run = runs[kind];
    if (!run || (run.state !== 'failed' && run.state !== 'missed') || since[kind] > run.endedAtMs) return [];
    const ago = formatAge(nowMs - run.endedAtMs);
    const message =
      run.state === 'missed' ? `the last ${kind} was missed, ${ago} ago` : `the last ${kind} failed, ${ago} ago`;
    const why = run.error === undefined ? '' : `: ${run.error.message}`;
    return [{ kind: `${kind}-${run.state}`, message: message + why }];
  });
}

/** One that is not copied yet may be on its way; a disk that was away is behind until the next run, and its age tells. */
function concernAboutCopies({ behind = 0, mayBeAwayMs }: SourceFacts): Concern[] {
  if (behind < patience || mayBeAwayMs !== undefined) return [];
  return [{ kind: 'copies-behind', message: `${behind} newer snapshots were not copied to it` }];
}

function concernAboutAge(facts: SourceFacts, timeMs: number): Concern[] {
  const limitMs = limitsOf(facts).snapshotMs;
  const ageMs = facts.nowMs - timeMs;
  if (ageMs <= limitMs) return [];
  const message = `the newest snapshot is ${formatAge(ageMs)} old, expected is at most ${formatAge(limitMs)}`;
  return [{ kind: 'snapshot-old', message }];
}

function concernAboutProof(facts: SourceFacts): Concern[] {
  const { nowMs, lastProof, lastPassed } = facts;
  const limitMs = limitsOf(facts).proofMs ?? Number.POSITIVE_INFINITY;
  if (!lastProof && limitMs === Number.POSITIVE_INFINITY) return [];
  if (!lastProof) return [{ kind: 'never-proven', message: 'never proven: no snapshot of it was ever restored' }];
  if (lastProof.verdict === 'failed') {
    const message = `the last drill failed, ${formatAge(nowMs - lastProof.startedAtMs)} ago (snapshot ${lastProof.snapshot.slice(0, 8)})`;
    return [{ kind: 'proof-failed', message }];
  }
  const ageMs = nowMs - (lastPassed ?? lastProof).startedAtMs;
  if (ageMs <= limitMs) return [];
  return [
    {
      kind: 'proof-old',
      message: `the last proof is ${formatAge(ageMs)} old, expected is at most ${formatAge(limitMs)}`,
    },
  ];
}

/** `3 days`, or hours and less as durations. */
export function formatAge(ms: number): string {
  const days = Math.floor(ms / 86_400_000);
  return days >= 2 ? `${days} days` : formatDuration(Math.max(0, ms));
}
