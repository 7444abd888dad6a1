/** What is declared, as a report of coverage judges it. */

import { parseInstant } from '../../base/clock.ts';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import { inTime } from '../../base/in-time.ts';
import type { Config, PolicyEntry, SourceEntry } from '../../config/index.ts';
import type { DeclaredCopy, DeclaredRepository, DeclaredSource } from '../../policy/coverage/facts.ts';
import { describeError } from '../describe-error.ts';
import { HostPool } from '../sources/host-pool.ts';
import { contextOf, driverNamed } from '../sources/source-access.ts';
import type { StatusOutput } from '../status/status.ts';
import type { LookUses } from './look-at.ts';
import { machineOf, machineOfRepository } from './machines.ts';

/** Asks servers for their databases, all at the same time, each no longer than `timeoutMs`. */
export async function declaredSources(
  state: StatusOutput,
  { timeoutMs, asks }: { readonly timeoutMs: number; readonly asks: boolean },
  uses: LookUses,
): Promise<DeclaredSource[]> {
  const sources = [...uses.config.sources.values()];
  return await Promise.all(sources.map(async (source) => await declared(source, state, { timeoutMs, asks }, uses)));
}

async function declared(
  source: SourceEntry,
  state: StatusOutput,
  { timeoutMs, asks }: { readonly timeoutMs: number; readonly asks: boolean },
  uses: LookUses,
): Promise<DeclaredSource> {
  const { config, drivers } = uses;
  const extent = (await driverNamed(drivers, source.driver).extent?.(source.settings)) ?? {};
  const policy = config.policies.get(source.policy ?? '');
  const { machine, container } = machineOf(source.host, uses);
  const told = asks && extent.server ? await leftOut(source, timeoutMs, uses) : { leftOut: [] };
  return {
    name: source.name,
    driver: source.driver,
    host: source.host,
    ...{ machine, container },
    paths: extent.paths ?? [],
    leavesOut: extent.leavesOut ?? (() => false),
    isConsistent: extent.consistent ?? false,
    isQuiet: source.window?.before.some((step) => 'stop' in step) ?? false,
    server: extent.server,
    policy: source.policy,
    isScheduled: policy !== undefined && isScheduled(policy),
    isDrilled: policy?.drill !== undefined && (policy.drill.schedule !== undefined || policy.drill.after.length > 0),
    copies: source.placements.map(({ repository }) => copyIn(repository, source.name, state, config)),
    ...told,
  };
}

function isScheduled({ schedule, everyMs, after }: PolicyEntry): boolean {
  return schedule !== undefined || everyMs !== undefined || after.length > 0;
}

async function leftOut(
  source: SourceEntry,
  timeoutMs: number,
  uses: LookUses,
): Promise<{ leftOut: readonly string[]; silence?: string }> {
  const { clock, signal } = uses;
  const late = new HoldfastError({
    code: 'host.unreachable',
    message: `no answer within ${Math.round(timeoutMs / 1000)} s`,
    remedy: `Try it out with: holdfast driver check ${source.name}`,
  });
  try {
    return await inTime({ clock, signal, timeoutMs }, late, async (inner) => {
      await using hosts = new HostPool({ ...uses, signal: inner });
      const context = await contextOf(source, { ...uses, hosts, signal: inner });
      return { leftOut: (await driverNamed(uses.drivers, source.driver).leftOut?.(context)) ?? [] };
    });
  } catch (error) {
    if (signal.aborted || hasCode(error, 'cancelled')) throw error;
    return { leftOut: [], silence: describeError(error).message };
  }
}

function copyIn(repository: string, source: string, state: StatusOutput, config: Config): DeclaredCopy {
  const entry = config.repositories.get(repository);
  const known = state.sources.find((one) => one.source === source && one.repository === repository);
  const isKnown = state.repositories.some((one) => one.name === repository && one.state === 'ready');
  return {
    repository,
    machine: entry === undefined ? repository : machineOfRepository(entry),
    isKnown,
    newestMs: known?.newest && parseInstant(known.newest.time),
    provenMs: known?.proven === undefined ? undefined : parseInstant(known.proven),
  };
}

export function declaredRepositories(config: Config): DeclaredRepository[] {
  const placements = [...config.sources.values()].flatMap((one) => one.placements);
  return [...config.repositories.values()].map(({ name, keep, check, prune }) => {
    const own = placements.filter((one) => one.repository === name);
    return {
      name,
      isChecked: check?.schedule !== undefined,
      isPruned: prune?.schedule !== undefined,
      hasRetention: keep !== undefined || own.some((one) => one.keep !== undefined),
      isUsed: own.length > 0,
    };
  });
}
