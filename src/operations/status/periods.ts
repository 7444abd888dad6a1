/** How often backups and drills of a source come, by its policy: what «too old» is measured by. */
import type { Config, Placement, PolicyEntry, SourceEntry } from '../../config/index.ts';
import { longestGapMs, parseCron } from '../../policy/cron.ts';

export interface Periods {
  readonly backupEveryMs?: number;
  readonly drillEveryMs?: number;
}

/** A configuration is never changed: what was worked out for a policy stays right. */
const known = new WeakMap<Config, Map<string, Periods>>();

export function periodsOf({ policy }: SourceEntry, config: Config): Periods {
  const entry = config.policies.get(policy ?? '');
  if (!entry) return {};
  const own = known.get(config) ?? new Map<string, Periods>();
  known.set(config, own);
  const found = own.get(entry.name) ?? measure(entry, config);
  own.set(entry.name, found);
  return found;
}

/** The same for what is in one of its repositories; `isDrilled` is false where nobody expects a proof. */
export function periodsIn(
  source: SourceEntry,
  { drill }: Placement,
  config: Config,
): Periods & { readonly isDrilled: boolean } {
  const { backupEveryMs, drillEveryMs } = periodsOf(source, config);
  const own = drill === undefined || drill === false ? undefined : periodOf(drill.schedule);
  return { backupEveryMs, drillEveryMs: own ?? drillEveryMs, isDrilled: drill !== false };
}

function measure(policy: PolicyEntry, { policies }: Config): Periods {
  const backupEveryMs = backupsEvery(policy, policies, new Set());
  const { drill } = policy;
  const scheduled = periodOf(drill?.schedule);
  const after = (drill?.after ?? []).map((name) => {
    const other = policies.get(name);
    return other && backupsEvery(other, policies, new Set());
  });
  return { backupEveryMs, drillEveryMs: scheduled ?? longest(after) };
}

/** One that comes after others comes as often as the rarest of them. */
function backupsEvery(
  policy: PolicyEntry,
  policies: Config['policies'],
  passed: ReadonlySet<string>,
): number | undefined {
  const own = policy.everyMs ?? periodOf(policy.schedule);
  if (own !== undefined || passed.has(policy.name)) return own;
  const before = new Set([...passed, policy.name]);
  const others = policy.after.map((name) => policies.get(name)).filter((one) => one !== undefined);
  return longest(others.map((one) => backupsEvery(one, policies, before)));
}

function periodOf(schedule: string | undefined): number | undefined {
  const cron = schedule === undefined ? undefined : parseCron(schedule);
  return cron === undefined || typeof cron === 'string' ? undefined : longestGapMs(cron);
}

function longest(periods: readonly (number | undefined)[]): number | undefined {
  const given = periods.filter((one) => one !== undefined);
  return given.length === 0 ? undefined : Math.max(...given);
}
