/** What the configuration asks to be done by itself, as the scheduler wants it. */
import type { Config, PolicyEntry, RepositoryEntry, SourceEntry } from '../../config/index.ts';
import type { AnyHostKind } from '../../hosts/host.ts';
import type { RunKind } from '../../model/run-record.ts';
import { followedTiming, gapOf } from '../../policy/after.ts';
import type { Timing } from '../../policy/firing-times.ts';
import type { Promised, PromisedProof } from '../../policy/overdue.ts';
import { limitsOf } from '../../policy/readiness.ts';
import type { PlannedRun, Retrying, RunPlan, RunWindow, Schedule, Touched } from '../../policy/run-plan.ts';
import { serviceClaim } from '../../runs/window/index.ts';
import { machineOf } from '../sources/machine-of.ts';
import { type DrillTiming, drillSchedules } from './drill-schedules.ts';

/** Where a policy says nothing: what may succeed a little later is tried three times. */
const usualRetrying: Retrying = { attempts: 3, delayMs: 5 * 60_000 };
/** What somebody asked for, they ask for again: they are there and see why it failed. */
const noRetrying: Retrying = { attempts: 1, delayMs: 0 };

/** Without `hostKinds`, hosts on one machine are not known to be. */
export function planRuns(config: Config, hostKinds: readonly AnyHostKind[] = []): RunPlan {
  const timings = policyTimings(config);
  const drills = new Map([...config.policies.values()].flatMap((policy) => drillTiming(policy, timings)));
  return {
    schedules: [
      ...[...config.sources.values()].flatMap((source) => schedulesOfSource(source, config, { timings, drills })),
      ...[...config.repositories.values()].flatMap(schedulesOfRepository),
      ...restoreSchedules(config, timings),
    ],
    limits: config.server.limits,
    timings,
    touches: (run) => touchedBy(run, config),
    stops: (run) => stopsOf(run, config, hostKinds),
    windowOf: (run) => windowOf(run, config),
    after: (run) => afterOf(run, config),
    retrying: (run) => retryingOf(run, config),
    timeoutMs: (run) => timeoutOf(run, config),
    promised: [...config.sources.values()].map((source) => promisedOf(source, config, { timings, drills })),
    history: config.server.history,
  };
}

type Timings = ReadonlyMap<string, Timing>;

/** Of policies that are due by themselves, or after others that are. */
function policyTimings({ policies }: Config): Map<string, Timing> {
  const timings = new Map<string, Timing>();
  for (const policy of policies.values()) {
    const own = ownTiming(policy);
    if (own) timings.set(policy.name, own);
  }
  // Each round finds those who follow what the one before found; names in a circle are an error of the configuration.
  for (let round = 0; round < policies.size; round++) {
    const before = timings.size;
    for (const { name, after } of policies.values()) {
      if (timings.has(name) || !after.every((one) => timings.has(one) || !policies.has(one))) continue;
      const followed = followedTiming(after, timings);
      if (followed) timings.set(name, followed);
    }
    if (timings.size === before) break;
  }
  return timings;
}

function ownTiming(plan: Pick<PolicyEntry, 'schedule' | 'everyMs' | 'timezone'>): Timing | undefined {
  const { schedule, everyMs, timezone } = plan;
  if (schedule !== undefined) return { kind: 'cron', cron: schedule, ...(timezone === undefined ? {} : { timezone }) };
  return everyMs === undefined ? undefined : { kind: 'interval', everyMs };
}

function drillTiming({ name, drill, timezone }: PolicyEntry, timings: Timings): [string, DrillTiming][] {
  if (!drill) return [];
  const own = ownTiming({ schedule: drill.schedule, timezone });
  const timing = own ?? followedTiming(drill.after, timings);
  return timing ? [[name, { timing, follows: own === undefined }]] : [];
}

function schedulesOfSource(
  source: SourceEntry,
  config: Config,
  { timings, drills }: { readonly timings: Timings; readonly drills: ReadonlyMap<string, DrillTiming> },
): Schedule[] {
  const policy = config.policies.get(source.policy ?? '');
  if (!policy) return [];
  const about = { source: source.name, policy: policy.name, host: source.host, catchUp: policy.catchUp };
  const jitterMs = policy.jitterMs ?? 0;
  const schedules: Schedule[] = [];
  const timing = timings.get(policy.name);
  if (timing) {
    const key = keyOf('backup', policy.name, source.name);
    const follows = ownTiming(policy) === undefined;
    const window = windowOfPolicy(policy);
    schedules.push({
      ...about,
      key,
      kind: 'backup',
      timing,
      jitterMs,
      follows,
      ...(window ? { window } : {}),
      input: {},
    });
  }
  return [...schedules, ...drillSchedules(source, policy, drills.get(policy.name))];
}

function schedulesOfRepository({ name, prune, check }: RepositoryEntry): Schedule[] {
  const about = { repository: name, host: 'local', jitterMs: 0, catchUp: true };
  const schedules: Schedule[] = [];
  if (prune?.schedule !== undefined) {
    const input = prune.maxTimeMs === undefined ? {} : { maxTimeMs: prune.maxTimeMs };
    const timing = { kind: 'cron', cron: prune.schedule } as const;
    schedules.push({ ...about, key: keyOf('prune', '', '', name), kind: 'prune', timing, input });
  }
  if (check?.schedule !== undefined) {
    const input = check.readAllWithinMs === undefined ? {} : { due: true };
    const timing = { kind: 'cron', cron: check.schedule } as const;
    schedules.push({ ...about, key: keyOf('check', '', '', name), kind: 'check', timing, input });
  }
  return schedules;
}

function restoreSchedules({ restores, sources }: Config, timings: Timings): Schedule[] {
  return [...restores.values()].flatMap((restore): Schedule[] => {
    const own = ownTiming(restore);
    const timing = own ?? followedTiming(restore.after, timings);
    if (!timing) return [];
    const { source, repository, jitterMs = 0, to, inPlace, overwrite, include, exclude, name } = restore;
    return [
      {
        key: keyOf('restore', name, source),
        kind: 'restore',
        ...{ source, timing, jitterMs, catchUp: true, follows: own === undefined },
        ...(repository === undefined ? {} : { repository }),
        host: sources.get(source)?.host ?? 'local',
        input: { restore: name, inPlace, overwrite, include, exclude, ...(to === undefined ? {} : { to }) },
      },
    ];
  });
}

function keyOf(kind: RunKind, policy: string, source: string, repository = ''): string {
  return `${kind}/${policy}/${source}/${repository}`;
}

function windowOfPolicy({ window, timezone }: PolicyEntry): RunWindow | undefined {
  return window && { ...window, ...(timezone === undefined ? {} : { timezone }) };
}

/** What somebody asked for begins at once. */
function windowOf(run: PlannedRun, config: Config): RunWindow | undefined {
  const policy = config.policies.get(run.policy ?? '');
  return policy && run.kind === 'backup' && run.slotMs !== undefined ? windowOfPolicy(policy) : undefined;
}

function afterOf(run: PlannedRun, { policies, restores }: Config): readonly string[] {
  const policy = policies.get(run.policy ?? '');
  if (run.kind === 'backup') return policy?.after ?? [];
  if (run.kind === 'drill') return policy?.drill?.after ?? [];
  if (run.kind === 'restore') return restores.get(String(run.input.restore))?.after ?? [];
  return [];
}

function touchedBy(run: PlannedRun, { sources }: Config): Touched[] {
  const { kind, repository, input } = run;
  if (kind === 'prune' && repository !== undefined) return [{ repository, mode: 'alone' }];
  if (kind === 'check' && repository !== undefined) return [{ repository, mode: 'checked' }];
  const named = [repository, input.from, input.to].filter((one) => typeof one === 'string');
  if (kind === 'copy') return [...new Set(named)].map((one) => ({ repository: one, mode: 'shared' }));
  if (repository !== undefined) return [{ repository, mode: 'shared' }];
  // A drill and a restore look for the newest snapshot in all of them.
  const own = sources.get(run.source ?? '')?.placements ?? [];
  return own.map((placement) => ({ repository: placement.repository, mode: 'shared' }));
}

/** Only a backup opens a window. */
function stopsOf({ kind, source: name }: PlannedRun, config: Config, hostKinds: readonly AnyHostKind[]): string[] {
  const source = kind === 'backup' ? config.sources.get(name ?? '') : undefined;
  const steps = source?.window?.before.filter((step) => 'stop' in step) ?? [];
  if (!source || steps.length === 0) return [];
  const machine = machineOf(source.host, config, hostKinds);
  return steps.map((step) => serviceClaim(step.stop, machine));
}

function retryingOf(run: PlannedRun, { policies }: Config): Retrying {
  const policy = policies.get(run.policy ?? '');
  if (run.slotMs === undefined) return noRetrying;
  return policy?.retry ?? usualRetrying;
}

function timeoutOf(run: PlannedRun, { policies, restores }: Config): number | undefined {
  if (run.kind === 'restore') return restores.get(String(run.input.restore))?.timeoutMs;
  return policies.get(run.policy ?? '')?.timeoutMs;
}

function promisedOf(
  source: SourceEntry,
  config: Config,
  { timings, drills }: { readonly timings: Timings; readonly drills: ReadonlyMap<string, DrillTiming> },
): Promised {
  const { name, policy } = source;
  const backup = timings.get(policy ?? '');
  const entry = config.policies.get(policy ?? '');
  const proofs = entry ? promisedProofs(source, entry, { common: drills.get(entry.name), config }) : [];
  return {
    source: name,
    ...(policy === undefined ? {} : { policy }),
    ...(backup ? { backupEveryMs: gapOf(backup) } : {}),
    ...(proofs.length > 0 ? { proofs } : {}),
  };
}

/** As `status` allows it. */
function promisedProofs(
  source: SourceEntry,
  policy: PolicyEntry,
  { common, config }: { readonly common: DrillTiming | undefined; readonly config: Config },
): PromisedProof[] {
  return drillSchedules(source, policy, common).map(({ timing, repository = source.placements[0].repository }) => {
    const mayBeAwayMs = config.repositories.get(repository)?.mayBeAwayMs;
    const { proofMs } = limitsOf({ drillEveryMs: gapOf(timing), mayBeAwayMs });
    return { repository, limitMs: proofMs! };
  });
}
