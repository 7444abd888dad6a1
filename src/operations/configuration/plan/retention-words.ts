/** What changed rules of retention come to. */
import type { Placement } from '../../../config/index.ts';
import type { Retention } from '../../../model/policy.ts';
import { unlimited } from '../../../policy/retention.ts';
import { type Consequence, note, warning } from './situation.ts';

const rules = ['last', 'hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;

/** For the repositories in which something was stored before and still is. */
export function retentionChange(before: readonly Placement[], after: readonly Placement[]): Consequence[] {
  return after.flatMap(({ repository, keep }) => {
    const old = before.find((one) => one.repository === repository);
    return old ? describe(repository, old.keep, keep) : [];
  });
}

function describe(repository: string, before: Retention | undefined, after: Retention | undefined): Consequence[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  if (!after) return [note(`in ${repository} everything is kept: no rule removes anything there any more`)];
  const text = `in ${repository} it keeps ${words(after)} instead of ${before ? words(before) : 'everything'}`;
  if (!before || keepsLess(before, after)) return [warning(`${text}: the next «forget» removes what that leaves over`)];
  return [note(text)];
}

function keepsLess(before: Retention, after: Retention): boolean {
  const most = (count: number | undefined): number => (count === unlimited ? Number.POSITIVE_INFINITY : (count ?? 0));
  if (before.within !== undefined && before.within !== after.within) return true;
  return rules.some((rule) => most(after[rule]) < most(before[rule]));
}

function words(keep: Retention): string {
  const parts = rules.flatMap((rule) => {
    const count = keep[rule];
    if (count === undefined) return [];
    return [`${rule} ${count === unlimited ? 'all' : count}`];
  });
  return [...parts, ...(keep.within === undefined ? [] : [`within ${keep.within}`])].join(', ');
}
