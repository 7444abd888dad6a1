/** Repositories that are not always there: an external disk, a machine that sleeps. Being away is a state; being away too long a fault. */
import { formatInstant } from '../../base/clock.ts';
import { hasCode } from '../../base/errors.ts';
import { absences } from '../../policy/absence.ts';
import { formatAge } from '../../policy/readiness.ts';
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
  return hasCode(error, ...absences);
}

/** What it means for sources that are stored there. */
export function judgeAbsence(
  record: RepositoryRecord | undefined,
  limitMs: number,
  { nowMs, sources }: { readonly nowMs: number; readonly sources: readonly string[] },
): Absence {
  const seen = record?.seen;
  if (!seen) return { isFine: false, message: 'it is away, and was never seen by this machine' };
  const sinceMs = seen.atMs;
  const away = `away since ${formatInstant(sinceMs).slice(0, 16).replace('T', ' ')}Z (${formatAge(nowMs - sinceMs)})`;
  const without = sources.find((source) => seen.newest[source] === undefined);
  if (without !== undefined) return { sinceMs, isFine: false, message: `${away}, and nothing of ${without} was in it` };
  const ageMs = nowMs - Math.min(sinceMs, ...sources.map((source) => seen.newest[source]));
  if (ageMs <= limitMs) return { sinceMs, isFine: true, message: away };
  const message = `${away}: the newest snapshot in it is ${formatAge(ageMs)} old, at most ${formatAge(limitMs)} is allowed`;
  return { sinceMs, isFine: false, message };
}
