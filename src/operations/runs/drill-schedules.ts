/**
 * When what is stored is drilled: each repository by itself, so that one that fails, or is far away, is tried again, held to its
 * limits and told of without the others.
 */
import type { PolicyEntry, SourceEntry } from '../../config/index.ts';
import type { Timing } from '../../policy/firing-times.ts';
import type { Schedule } from '../../policy/run-plan.ts';

export interface DrillTiming {
  readonly timing: Timing;
  readonly follows: boolean;
}

/** `common`: when the policy drills; `undefined` if it says nothing. */
export function drillSchedules(
  { name, host, placements }: SourceEntry,
  policy: PolicyEntry,
  common: DrillTiming | undefined,
): Schedule[] {
  const { catchUp, jitterMs = 0, drill } = policy;
  const input = drill?.snapshot === 'random' ? { snapshot: 'random' } : {};
  return placements.flatMap(({ repository, drill: own }): Schedule[] => {
    const when = timingIn(own, policy, common);
    if (!when) return [];
    // The only one need not be named.
    const place = placements.length === 1 ? {} : { repository };
    const key = `drill/${policy.name}/${name}/${place.repository ?? ''}`;
    const about = { source: name, policy: policy.name, host, catchUp, jitterMs, input };
    return [{ key, kind: 'drill', ...about, ...place, ...when }];
  });
}

function timingIn(
  own: SourceEntry['placements'][number]['drill'],
  { timezone }: PolicyEntry,
  common: DrillTiming | undefined,
): DrillTiming | undefined {
  if (own === false) return undefined;
  if (own === undefined) return common;
  const zone = timezone === undefined ? {} : { timezone };
  return { timing: { kind: 'cron', cron: own.schedule, ...zone }, follows: false };
}
