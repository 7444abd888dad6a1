/** Reading all of a repository's data in turn: what is due, and the record of what was read. */
import { z } from 'zod';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { longestGapMs, parseCron } from '../../policy/cron.ts';
import { type DueGroup, dueGroups, readingGroups } from '../../policy/reading-plan.ts';
import { type CheckResult, loadReadings, saveReadings } from '../../repository/index.ts';
import type { Execution } from '../operation.ts';
import type { NamedRepository } from './repository-access.ts';

/** Between two checks, where no schedule says it. */
const usualGapMs = 24 * 3_600_000;

export const turnView = z.object({
  /** Parts all data is divided into. */
  groups: z.number(),
  /** Parts that were due, and of those the ones that were to be read before. */
  due: z.number().optional(),
  overdue: z.number().optional(),
  /** Parts that were read in this run and found sound. */
  read: z.number(),
});
export type TurnView = z.infer<typeof turnView>;

export interface DueReading {
  readonly groups: readonly DueGroup[];
  readonly subset: { readonly groups: ReadonlySet<number> };
}

/** What has to be read now. `config.invalid` if the repository has no time to be read within. */
export async function dueReading(
  { entry, name, repository }: NamedRepository,
  { clock, signal }: Pick<Execution, 'clock' | 'signal'>,
): Promise<DueReading> {
  const withinMs = entry.check?.readAllWithinMs;
  if (withinMs === undefined || withinMs === 0) {
    throw new HoldfastError({
      code: 'config.invalid',
      message: `nothing says within what time all data of ${name} has to be read`,
      remedy: `Give repository ${name} «check: { readAllWithin: 30d }», or use --read-data or --read-data-subset.`,
    });
  }
  const { sinceMs, readAtMs } = await loadReadings(repository, signal);
  const everyMs = gapOf(entry.check?.schedule);
  const groups = dueGroups({ nowMs: clock.nowMs(), withinMs, everyMs, sinceMs, readAtMs });
  return { groups, subset: { groups: new Set(groups.map(({ group }) => group)) } };
}

function gapOf(schedule: string | undefined): number {
  const cron = schedule === undefined ? undefined : parseCron(schedule);
  return (typeof cron === 'object' ? longestGapMs(cron) : undefined) ?? usualGapMs;
}

/** Remembers what was read, however it came to be read. Where nothing can be stored, the next run reads it again: a warning. */
export async function recordReading(
  { repository, name }: NamedRepository,
  { groupsRead }: CheckResult,
  { clock, report, signal, due }: Execution & { readonly due: DueReading | undefined },
): Promise<TurnView | undefined> {
  if (groupsRead.size === 0 && !due) return undefined;
  try {
    if (groupsRead.size > 0) await saveReadings(repository, { groups: groupsRead, atMs: clock.nowMs() }, signal);
  } catch (error) {
    const message = `what was read could not be recorded, and will be read again: ${messageOf(error)}`;
    report({ type: 'warning', code: 'storage.denied', message, subject: name });
  }
  const overdue = due?.groups.filter(({ reason }) => reason === 'overdue').length;
  return { groups: readingGroups, due: due?.groups.length, overdue, read: groupsRead.size };
}
