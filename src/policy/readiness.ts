/** What is not safely restorable now, and why: a pure judgement over facts, with its reasons. */
import { formatDuration } from '../base/bytes.ts';

/** Without a schedule, a snapshot older than this is too old; also the usual patience with a proof. */
const unscheduledMs = 36 * 3_600_000;
const proofMs = 8 * 86_400_000;
/** One missed run may be made good by the next; two are a fault. */
const patience = 2;

export interface SourceFacts {
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
  /** Longest time between two backups, and two drills, that the policy plans. */
  readonly backupEveryMs?: number;
  readonly drillEveryMs?: number;
  /** The repository is not always there: its newest snapshot may become this old. */
  readonly mayBeAwayMs?: number;
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
    | 'proof-old';
  readonly message: string;
}

/** Empty if the source can be restored, as far as is known. */
export function concernsAbout(facts: SourceFacts): Concern[] {
  const { newest } = facts;
  if (!newest) return [{ kind: 'never-backed-up', message: 'never backed up' }];
  return [...concernAboutAge(facts, newest.timeMs), ...concernAboutCopies(facts), ...concernAboutProof(facts)];
}

/** One that is not copied yet may be on its way; a disk that was away is behind until the next run, and its age tells. */
function concernAboutCopies({ behind = 0, mayBeAwayMs }: SourceFacts): Concern[] {
  if (behind < patience || mayBeAwayMs !== undefined) return [];
  return [{ kind: 'copies-behind', message: `${behind} newer snapshots were not copied to it` }];
}

function concernAboutAge({ nowMs, backupEveryMs, mayBeAwayMs = 0 }: SourceFacts, timeMs: number): Concern[] {
  const usualMs = backupEveryMs === undefined ? unscheduledMs : patience * backupEveryMs;
  const limitMs = Math.max(usualMs, mayBeAwayMs);
  const ageMs = nowMs - timeMs;
  if (ageMs <= limitMs) return [];
  const message = `the newest snapshot is ${formatAge(ageMs)} old, expected is at most ${formatAge(limitMs)}`;
  return [{ kind: 'snapshot-old', message }];
}

function concernAboutProof(facts: SourceFacts): Concern[] {
  const { nowMs, lastProof, lastPassed, drillEveryMs } = facts;
  if (!lastProof) return [{ kind: 'never-proven', message: 'never proven: no snapshot of it was ever restored' }];
  if (lastProof.verdict === 'failed') {
    const message = `the last drill failed, ${formatAge(nowMs - lastProof.startedAtMs)} ago (snapshot ${lastProof.snapshot.slice(0, 8)})`;
    return [{ kind: 'proof-failed', message }];
  }
  const limitMs = drillEveryMs === undefined ? proofMs : Math.max(patience * drillEveryMs, 0);
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
