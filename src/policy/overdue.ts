/** Whether sources are as safe as their policies promise: events at every change, not at every look. */
import type { EventType } from '../model/event.ts';
import { formatAge } from './readiness.ts';

/** What a policy promises of a source. */
export interface Promised {
  readonly source: string;
  readonly policy?: string;
  /** The longest time between two backups that are planned; absent: none are. */
  readonly backupEveryMs?: number;
  /** Of each repository in which it is drilled. */
  readonly proofs?: readonly PromisedProof[];
}

export interface PromisedProof {
  readonly repository: string;
  /** How old the last proof may become there. */
  readonly limitMs: number;
}

/** When the newest good one began, and since when one is waited for. */
export interface Kept {
  readonly atMs?: number;
  readonly sinceMs: number;
}

export interface KeptPromises {
  readonly backup: Kept;
  readonly proof: (repository: string) => Kept;
}

/** What was told about a source last: nothing stands for «all is well». */
export interface Told {
  readonly overdue: boolean;
  /** Repositories. */
  readonly stale: ReadonlySet<string>;
}

export interface Change {
  readonly source: string;
  readonly policy?: string;
  /** Of proofs. */
  readonly repository?: string;
  readonly type: Extract<EventType, 'source.overdue' | 'proof.stale' | 'source.recovered'>;
  readonly title: string;
}

/** One run that is missed may be made good by the next: two are a fault. As in `readiness.ts`. */
const patience = 2;

/** What changed for one source, and what is told about it then; at most one event about backups, and one about proofs in each repository. */
export function judgePromise(
  promised: Promised,
  kept: KeptPromises,
  told: Told,
  nowMs: number,
): { readonly changes: readonly Change[]; readonly told: Told } {
  const { source, policy, backupEveryMs, proofs = [] } = promised;
  const about = { source, ...(policy === undefined ? {} : { policy }) };
  const late = backupEveryMs === undefined ? undefined : lateBy(patience * backupEveryMs, kept.backup, nowMs);
  const overdue = late !== undefined;
  const judged = proofs.map((one) => judgeProof(one, kept, told, nowMs));
  const stale = new Set(judged.filter((one) => one.isStale).map(({ repository }) => repository));
  const changes: Change[] = [];
  if (late && !told.overdue)
    changes.push({ ...about, type: 'source.overdue', title: overdueTitle(source, kept.backup, late) });
  if (!overdue && told.overdue)
    changes.push({ ...about, type: 'source.recovered', title: backedUpTitle(source, [...stale]) });
  for (const { repository, isStale, late: lateProof } of judged) {
    const where = { ...about, repository };
    if (lateProof && !told.stale.has(repository))
      changes.push({ ...where, type: 'proof.stale', title: staleTitle(where, kept.proof(repository), lateProof) });
    if (!isStale && told.stale.has(repository))
      changes.push({ ...where, type: 'source.recovered', title: provenTitle(where, overdue) });
  }
  return { changes, told: { overdue, stale } };
}

interface JudgedProof {
  readonly repository: string;
  readonly isStale: boolean;
  readonly late?: Late;
}

/** What was never backed up cannot be proven: to say that it is overdue is enough. What is stale stays so until it is proven. */
function judgeProof(
  { repository, limitMs }: PromisedProof,
  { backup, proof }: KeptPromises,
  told: Told,
  nowMs: number,
): JudgedProof {
  const isTold = told.stale.has(repository);
  if (backup.atMs === undefined) return { repository, isStale: isTold };
  const kept = proof(repository);
  const late = lateBy(limitMs, kept, nowMs);
  return { repository, isStale: late !== undefined || (isTold && kept.atMs === undefined), late };
}

interface Late {
  readonly ageMs: number;
  readonly limitMs: number;
}

function lateBy(limitMs: number, { atMs, sinceMs }: Kept, nowMs: number): Late | undefined {
  const ageMs = nowMs - (atMs ?? sinceMs);
  return ageMs > limitMs ? { ageMs, limitMs } : undefined;
}

function overdueTitle(source: string, { atMs }: Kept, { ageMs, limitMs }: Late): string {
  const what =
    atMs === undefined ? `${source} was never backed up` : `the newest backup of ${source} is ${formatAge(ageMs)} old`;
  return `${what}; promised is at most ${formatAge(limitMs)}`;
}

type Where = { readonly source: string; readonly repository: string };

function staleTitle({ source, repository }: Where, { atMs }: Kept, { ageMs, limitMs }: Late): string {
  const what =
    atMs === undefined
      ? `no snapshot of ${source} in ${repository} was ever proven`
      : `the last proof of ${source} in ${repository} is ${formatAge(ageMs)} old`;
  return `${what}; promised is at most ${formatAge(limitMs)}`;
}

function backedUpTitle(source: string, stale: readonly string[]): string {
  return stale.length > 0
    ? `${source} is backed up again, but its proof in ${stale.join(', ')} is still stale`
    : `${source} is as safe as promised again`;
}

function provenTitle({ source, repository }: Where, overdue: boolean): string {
  return `${source} in ${repository} is proven again${overdue ? `, but ${source} is still overdue` : ''}`;
}
