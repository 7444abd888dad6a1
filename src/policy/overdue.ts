/** Whether sources are as safe as their policies promise: events at every change, not at every look. */
import type { EventType } from '../model/event.ts';
import { formatAge } from './readiness.ts';

/** What a policy promises of a source. */
export interface Promised {
  readonly source: string;
  readonly policy?: string;
  /** The longest time between two backups that are planned; absent: none are. */
  readonly backupEveryMs?: number;
  readonly drillEveryMs?: number;
}

export interface Kept {
  /** When its newest good backup began. */
  readonly backupMs?: number;
  /** When its newest passed drill began. */
  readonly proofMs?: number;
  /** Since when it is known: from then on a first backup is waited for. */
  readonly knownSinceMs: number;
}

/** What was told about a source last: nothing stands for «all is well». */
export interface Told {
  readonly overdue: boolean;
  readonly stale: boolean;
}

export interface Change {
  readonly source: string;
  readonly policy?: string;
  readonly type: Extract<EventType, 'source.overdue' | 'proof.stale' | 'source.recovered'>;
  readonly title: string;
  readonly told: Told;
}

/** One run that is missed may be made good by the next: two are a fault. As in `readiness.ts`. */
const patience = 2;

/** What changed for one source; at most one event about backups and one about proofs. */
export function judgePromise(promised: Promised, kept: Kept, told: Told, nowMs: number): Change[] {
  const { source, policy } = promised;
  const late = lateness(promised, kept, nowMs);
  const isNever = kept.backupMs === undefined;
  const now = { overdue: late.backup !== undefined, stale: isNever ? told.stale : late.proof !== undefined };
  const about = { source, ...(policy === undefined ? {} : { policy }), told: now };
  const changes: Change[] = [];
  if (late.backup && !told.overdue)
    changes.push({ ...about, type: 'source.overdue', title: overdueTitle(source, kept, late.backup) });
  if (late.proof && !told.stale)
    changes.push({ ...about, type: 'proof.stale', title: staleTitle(source, kept, late.proof) });
  const isBetter = (told.overdue && !now.overdue) || (told.stale && !now.stale);
  if (isBetter && changes.length === 0)
    changes.push({ ...about, type: 'source.recovered', title: recoveredTitle(source, now) });
  return changes;
}

/** What was never backed up cannot be proven: to say that it is overdue is enough. */
function lateness(
  promised: Promised,
  { backupMs, proofMs, knownSinceMs }: Kept,
  nowMs: number,
): { backup?: Late; proof?: Late } {
  const backup = lateBy(promised.backupEveryMs, backupMs ?? knownSinceMs, nowMs);
  const proof = backupMs === undefined ? undefined : lateBy(promised.drillEveryMs, proofMs ?? knownSinceMs, nowMs);
  return { ...(backup ? { backup } : {}), ...(proof ? { proof } : {}) };
}

interface Late {
  readonly ageMs: number;
  readonly limitMs: number;
}

function lateBy(everyMs: number | undefined, sinceMs: number, nowMs: number): Late | undefined {
  if (everyMs === undefined) return undefined;
  const limitMs = patience * everyMs;
  const ageMs = nowMs - sinceMs;
  return ageMs > limitMs ? { ageMs, limitMs } : undefined;
}

function overdueTitle(source: string, { backupMs }: Kept, { ageMs, limitMs }: Late): string {
  const what =
    backupMs === undefined
      ? `${source} was never backed up`
      : `the newest backup of ${source} is ${formatAge(ageMs)} old`;
  return `${what}; promised is at most ${formatAge(limitMs)}`;
}

function staleTitle(source: string, { proofMs }: Kept, { ageMs, limitMs }: Late): string {
  const what =
    proofMs === undefined
      ? `no snapshot of ${source} was ever proven`
      : `the last proof of ${source} is ${formatAge(ageMs)} old`;
  return `${what}; promised is at most ${formatAge(limitMs)}`;
}

function recoveredTitle(source: string, now: Told): string {
  if (now.overdue) return `${source} is proven again, but still overdue`;
  return now.stale
    ? `${source} is backed up again, but its proof is still stale`
    : `${source} is as safe as promised again`;
}
