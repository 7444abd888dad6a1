/** Repositories that are not always there: an external disk, a machine that sleeps. Being away is a state; being away too long a fault. */
import { formatInstant } from '../base/clock.ts';
import { hasCode } from '../base/errors.ts';
import { formatAge } from '../policy/readiness.ts';
import type { RepositoryRecord } from './repository-record.ts';

export interface Absence {
  /** When it was last there, as far as this machine knows. */
  readonly sinceMs?: number;
  /** True while its newest snapshot of the source is not older than may be. */
  readonly isFine: boolean;
  /** What is the matter, without the name of the repository. */
  readonly message: string;
}

/** True for errors that a disk or server that is not there gives; not for one that is there and refuses, or is damaged. */
export function isAbsence(error: unknown): boolean {
  return hasCode(error, 'repository.missing', 'storage.not-found', 'storage.unreachable');
}

/** For one source, or for all that was in it. */
export function judgeAbsence(
  record: RepositoryRecord | undefined,
  limitMs: number,
  { nowMs, source }: { readonly nowMs: number; readonly source?: string },
): Absence {
  const seen = record?.seen;
  if (!seen) return { isFine: false, message: 'it is away, and was never seen by this machine' };
  const ages = Object.entries(seen.newest).filter(([name]) => source === undefined || name === source);
  const since = `away since ${formatInstant(seen.atMs).slice(0, 16).replace('T', ' ')}Z (${formatAge(nowMs - seen.atMs)})`;
  if (ages.length === 0) {
    const isFine = source === undefined && nowMs - seen.atMs <= limitMs;
    return { sinceMs: seen.atMs, isFine, message: isFine ? since : `${since}, and nothing was in it` };
  }
  const ageMs = nowMs - Math.min(...ages.map(([, timeMs]) => timeMs));
  if (ageMs <= limitMs) return { sinceMs: seen.atMs, isFine: true, message: since };
  const message = `${since}: the newest snapshot in it is ${formatAge(ageMs)} old, at most ${formatAge(limitMs)} is allowed`;
  return { sinceMs: seen.atMs, isFine: false, message };
}
