/** Whether what happened in a simulated installation is what should have: counted from the schedules by themselves. */
import type { Catalogue } from '../../src/catalogue/open.ts';
import { nextWithin } from '../../src/policy/day-hours.ts';
import { firingsBetween } from '../../src/policy/firing-times.ts';
import { applyRetention } from '../../src/policy/retention.ts';
import type { RunPlan, Schedule } from '../../src/policy/run-plan.ts';
import { keep, type World } from './soak-world.ts';

export interface SoakFacts {
  readonly problems: readonly string[];
  readonly slots: number;
  readonly ranOnce: number;
  /** Tried as often as allowed, in vain, and reported. */
  readonly failed: number;
  readonly missed: number;
  readonly lost: number;
  readonly repeated: number;
  readonly runs: number;
  readonly leftOpen: number;
  readonly snapshotsMade: number;
  readonly snapshotsKept: number;
  readonly most: number;
  readonly deaths: { readonly scheduler: number; readonly worker: number };
}

interface Parts {
  readonly catalogue: Catalogue;
  readonly world: World;
  readonly plan: RunPlan;
  readonly startMs: number;
  readonly endMs: number;
  readonly deaths: SoakFacts['deaths'];
}

interface Row {
  readonly id: string;
  readonly slotKey: string | null;
  readonly retryOf: string | null;
  readonly state: string;
  readonly startedAtMs: number | null;
  readonly errorCode: string | null;
}

export async function judgeSoak(parts: Parts): Promise<SoakFacts> {
  const { catalogue, world, plan, deaths } = parts;
  const rows: Row[] = await catalogue.db
    .selectFrom('run')
    .select(['id', 'slotKey', 'retryOf', 'state', 'startedAtMs', 'errorCode'])
    .execute();
  const events = await eventsByRun(catalogue);
  const problems = [...world.problems, ...rowProblems(rows, events, world)];
  const bySlot = new Map(rows.map((row) => [row.slotKey, row]));
  const repeats = new Map(rows.filter((row) => row.retryOf !== null).map((row) => [row.retryOf, row]));
  const tally = { slots: 0, ranOnce: 0, failed: 0, missed: 0 };
  for (const schedule of plan.schedules) {
    for (const slotMs of slotsOf(schedule, parts)) {
      tally.slots++;
      const name = `${schedule.key}@${new Date(slotMs).toISOString()}`;
      const chain = chainOf(bySlot.get(name), repeats);
      const outcome = outcomeOf(chain);
      if (typeof outcome === 'string') problems.push(`${name}: ${outcome}`);
      else tally[outcome.as]++;
      bySlot.delete(name);
    }
  }
  for (const [key] of bySlot) if (key !== null && !/^(retry|forget)\//.test(key)) problems.push(`${key} was never due`);
  problems.push(...retentionProblems(world));
  const count = (lists: World['made']): number => [...lists.values()].reduce((sum, list) => sum + list.length, 0);
  return {
    problems: problems.slice(0, 20),
    ...tally,
    lost: rows.filter((row) => row.errorCode === 'run.lost').length,
    repeated: repeats.size,
    runs: rows.length,
    leftOpen: rows.filter((row) => ['queued', 'running'].includes(row.state)).length,
    snapshotsMade: count(world.made),
    snapshotsKept: count(world.kept),
    most: world.most,
    deaths,
  };
}

/** The slots by themselves; one of an interval whose window does not open in time is none. */
function slotsOf({ timing, window }: Schedule, { startMs, endMs }: Parts): number[] {
  const { slots } = firingsBetween(timing, { afterMs: startMs, toMs: endMs, most: 1_000_000 });
  if (timing.kind !== 'interval' || !window) return [...slots];
  return slots.filter((slot) => nextWithin(window, slot, window.timezone) < slot + timing.everyMs);
}

function chainOf(first: Row | undefined, repeats: ReadonlyMap<string | null, Row>): Row[] {
  const chain: Row[] = [];
  for (let row = first; row !== undefined; row = repeats.get(row.id)) chain.push(row);
  return chain;
}

function outcomeOf(chain: readonly Row[]): string | { readonly as: 'ranOnce' | 'failed' | 'missed' } {
  if (chain.length === 0) return 'it was due and nobody knows of it';
  if (chain[0].state === 'missed')
    return chain.length === 1 && chain[0].startedAtMs === null ? { as: 'missed' } : 'missed, and run';
  const good = chain.filter((row) => row.state === 'succeeded');
  if (good.length > 1) return 'it ran twice';
  if (good.length === 1) return good[0] === chain.at(-1) ? { as: 'ranOnce' } : 'repeated after it succeeded';
  return ['failed', 'cancelled'].includes(chain.at(-1)!.state)
    ? { as: 'failed' }
    : `it ended as ${chain.at(-1)!.state}`;
}

async function eventsByRun(catalogue: Catalogue): Promise<Map<string, string[]>> {
  const rows = await catalogue.db
    .selectFrom('happening')
    .select(['run', 'type'])
    .where('run', 'is not', null)
    .execute();
  return new Map([...Map.groupBy(rows, (row) => row.run!)].map(([run, group]) => [run, group.map((row) => row.type)]));
}

/** A run is begun at most once, and has exactly one event of its end. */
function rowProblems(rows: readonly Row[], events: ReadonlyMap<string, readonly string[]>, world: World): string[] {
  const problems: string[] = [];
  const begun = Map.groupBy(world.begun, (id) => id);
  for (const [id, times] of begun) if (times.length > 1) problems.push(`${id} was begun ${times.length} times`);
  for (const { id, state, slotKey } of rows) {
    const ends = (events.get(id) ?? []).filter((type) => type !== 'run.warning');
    if (['queued', 'running'].includes(state)) continue;
    if (ends.length !== 1)
      problems.push(`${slotKey ?? id} is ${state}, and of its end is told: ${ends.join(', ') || 'nothing'}`);
    if (state === 'missed' && !ends[0]?.endsWith('.missed')) problems.push(`${slotKey} is missed, and not reported`);
  }
  return problems;
}

/** What is left after many small steps is what the rules would keep of everything at once; each of the last days has its newest. */
function retentionProblems({ made, kept, forgotAt }: World): string[] {
  const problems: string[] = [];
  for (const [source, all] of made) {
    const looked = all.slice(0, forgotAt.get(source) ?? 0);
    const after = all.slice(looked.length);
    const byRule = applyRetention(looked, keep, { nowMs: looked.at(-1)?.timeMs ?? 0 }).filter((one) => one.keep);
    const expected = new Set([...byRule.map((one) => one.snapshot.id), ...after.map((one) => one.id)]);
    const left = new Set((kept.get(source) ?? []).map((one) => one.id));
    if (expected.size !== left.size || [...expected].some((id) => !left.has(id)))
      problems.push(`${source}: kept ${left.size}, expected ${expected.size}`);
    const newestOfDay = new Map(looked.map((one) => [one.time.slice(0, 10), one.id]));
    const days = [...newestOfDay].sort(([a], [b]) => (a < b ? 1 : -1)).slice(0, 7);
    for (const [date, id] of days) if (!left.has(id)) problems.push(`${source}: the newest of ${date} is gone`);
  }
  return problems;
}
