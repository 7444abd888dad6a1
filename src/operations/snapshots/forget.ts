/**
 * Remove snapshots: by retention rules (those of the policy, or given ones), or by name. Pinned ones, the newest good and
 * the newest proven one of each source are never removed. Their data is freed by prune.
 */
import { z } from 'zod';
import { localOffsetMinutes } from '../../base/clock.ts';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import type { Retention } from '../../model/policy.ts';
import { type StoredSnapshot, sourceOf } from '../../model/snapshot.ts';
import { protectedSnapshots } from '../../policy/protection.ts';
import { applyRetention, isEmptyRetention } from '../../policy/retention.ts';
import { findSnapshot, forgetSnapshots, listPins, listProofs, listSnapshots, prune } from '../../repository/index.ts';
import { type Execution, operation, type SourceAccess } from '../operation.ts';
import { holdAnew } from '../repositories/repo-hold.ts';
import { type NamedRepository, openNamed, openUnlessAway } from '../repositories/repository-access.ts';
import { chooseSources } from '../sources/source-access.ts';

const count = z.number().int().min(-1).optional();
const input = z.object({
  /** Source names: their rules are applied. Anything else names one snapshot to remove. */
  targets: z.array(z.string()).default([]),
  policy: z.string().optional(),
  all: z.boolean().default(false),
  repository: z.string().optional(),
  /** Instead of the policy's rules. */
  keep: z
    .object({
      last: count,
      hourly: count,
      daily: count,
      weekly: count,
      monthly: count,
      yearly: count,
      within: z.string().optional(),
    })
    .optional(),
  dryRun: z.boolean().default(false),
  prune: z.boolean().default(false),
});
const decision = z.object({
  repository: z.string(),
  source: z.string().optional(),
  snapshot: z.string(),
  time: z.string(),
  timeMs: z.number(),
  keep: z.boolean(),
  reasons: z.array(z.string()),
});
export type ForgetDecision = z.infer<typeof decision>;
const output = z.object({
  dryRun: z.boolean(),
  decisions: z.array(decision),
  removed: z.number(),
  kept: z.number(),
  pruned: z.array(z.object({ repository: z.string(), freedBytes: z.number(), packsRemoved: z.number() })),
});
export type ForgetOutput = z.infer<typeof output>;

/** How long to wait while somebody else has the repository to themselves. */
const lockWaitMs = 60_000;

type Request = z.infer<typeof input>;
type Uses = SourceAccess & Execution;

/** What a repository is asked to do: sources with their rules, and snapshots by name. */
interface Orders {
  readonly rules: Map<string, Retention>;
  readonly named: string[];
}

interface Plan {
  readonly opened: NamedRepository;
  readonly orders: Orders;
  decided: ForgetDecision[];
}

export const forget = operation({
  name: 'forget',
  permission: 'admin',
  input,
  output,
  run: async (request: Request, uses: Uses): Promise<ForgetOutput> => {
    await using open = new AsyncDisposableStack();
    const found = new Set<string>();
    const plans: Plan[] = [];
    for (const [name, orders] of ordersOf(request, uses)) {
      const opened = await (request.repository === name ? openNamed(name, uses) : openUnlessAway(name, uses));
      if (!opened) continue;
      open.use(opened);
      plans.push({ opened, orders, decided: await decide(opened, orders, { ...uses, found }) });
    }
    // Nothing is removed before everything that was asked for is known to be there and free to go.
    requireFound(request, found, uses);
    const pruned: ForgetOutput['pruned'] = [];
    for (const plan of request.dryRun ? [] : plans) {
      const freed = await carryOut(plan, request, uses);
      if (freed) pruned.push(freed);
    }
    const decisions = plans.flatMap((plan) => plan.decided);
    const removed = decisions.filter((one) => !one.keep).length;
    return { dryRun: request.dryRun, decisions, removed, kept: decisions.length - removed, pruned };
  },
});

function ordersOf(request: Request, uses: Uses): Map<string, Orders> {
  const { config } = uses;
  const orders = new Map<string, Orders>();
  const of = (repository: string): Orders => {
    const known = orders.get(repository) ?? { rules: new Map(), named: [] };
    orders.set(repository, known);
    return known;
  };
  const isSource = (target: string): boolean => config.sources.has(target);
  const named = request.targets.filter((target) => !isSource(target));
  const sources = request.targets.filter(isSource);
  if (sources.length > 0 || named.length === 0) {
    for (const { source, repository, keep } of placementsOf({ ...request, sources }, uses)) {
      of(repository).rules.set(source, requireRule(source, repository, request.keep ?? keep, request));
    }
  }
  const places = request.repository === undefined ? [...config.repositories.keys()] : [request.repository];
  if (named.length > 0) for (const repository of places) of(repository).named.push(...named);
  return orders;
}

function placementsOf(
  request: Request & { readonly sources: readonly string[] },
  { config }: Uses,
): { source: string; repository: string; keep?: Retention }[] {
  const all = chooseSources(config, request).flatMap(({ name, placements }) =>
    placements.map((placement) => ({ source: name, ...placement })),
  );
  return all.filter((one) => request.repository === undefined || one.repository === request.repository);
}

function requireRule(source: string, repository: string, keep: Retention | undefined, request: Request): Retention {
  if (keep && !isEmptyRetention(keep)) return keep;
  throw new HoldfastError({
    code: 'usage.invalid',
    message: `there is no rule for what to keep of ${source} in ${repository}`,
    remedy: request.keep
      ? 'Give a rule that keeps something, for example --keep-last 3.'
      : 'Give «keep:» in its policy, or rules like --keep-daily 7.',
  });
}

/** What was pinned, or became the newest proven one, while the lock was waited for stays, and its decision says so. */
async function carryOut(plan: Plan, request: Request, uses: Uses): Promise<ForgetOutput['pruned'][number] | undefined> {
  const { name, repository } = plan.opened;
  const { report, signal } = uses;
  const going = plan.decided.filter((one) => !one.keep).map((one) => one.snapshot);
  const mayStillGo = async (): Promise<Set<string>> => {
    const again = await decide(plan.opened, plan.orders, { ...uses, found: new Set() });
    return new Set(again.filter((one) => !one.keep).map((one) => one.snapshot));
  };
  const gone = going.length > 0 ? await forgetSnapshots(repository, going, { lockWaitMs, signal, mayStillGo }) : [];
  plan.decided = plan.decided.map((one) =>
    one.keep || gone.includes(one.snapshot) ? one : { ...one, keep: true, reasons: ['protected meanwhile'] },
  );
  if (!request.prune) return undefined;
  const { freedBytes, packsRemoved } = await prune(repository, { lockWaitMs }, report, signal);
  await holdAnew(repository, { dryRun: false }, uses);
  return { repository: name, freedBytes, packsRemoved };
}

async function decide(
  { name, repository }: NamedRepository,
  orders: Orders,
  uses: Uses & { readonly found: Set<string> },
): Promise<ForgetDecision[]> {
  const [snapshots, pins, proofs] = await Promise.all([
    listSnapshots(repository, uses.signal),
    listPins(repository, uses.signal),
    listProofs(repository, uses.signal),
  ]);
  const protectedBy = protectedSnapshots({ snapshots, pins, proofs });
  const view = (one: StoredSnapshot, keep: boolean, reasons: readonly string[]): ForgetDecision => ({
    repository: name,
    source: sourceOf(one),
    snapshot: one.id,
    time: one.time,
    timeMs: one.timeMs,
    keep,
    reasons: [...reasons],
  });
  const byRule = [...orders.rules].flatMap(([source, keep]) => {
    const own = snapshots.filter((one) => sourceOf(one) === source);
    const decided = applyRetention(own, keep, { nowMs: uses.clock.nowMs(), localOffsetMinutes, protectedBy });
    return decided.map((one) => view(one.snapshot, one.keep, one.reasons));
  });
  const byName = namedIn(snapshots, orders.named, uses.found).map((one) => {
    const reasons = protectedBy.get(one.id);
    if (reasons) throw protectedError(one, reasons);
    return view(one, false, []);
  });
  return [...byRule, ...byName];
}

/** The ones that are in this repository; the names that mean one are added to `found`. */
function namedIn(snapshots: readonly StoredSnapshot[], named: readonly string[], found: Set<string>): StoredSnapshot[] {
  const matching = new Set<StoredSnapshot>();
  for (const wanted of named) {
    try {
      matching.add(findSnapshot(snapshots, wanted));
      found.add(wanted);
    } catch (error) {
      if (!hasCode(error, 'snapshot.unknown')) throw error;
    }
  }
  return [...matching];
}

function requireFound(request: Request, found: ReadonlySet<string>, { config }: Uses): void {
  const missing = request.targets.find((target) => !config.sources.has(target) && !found.has(target));
  if (missing === undefined) return;
  throw new HoldfastError({
    code: 'snapshot.unknown',
    message: `«${missing}» is neither a declared source nor a snapshot`,
    remedy: 'List what there is with: holdfast snapshots',
  });
}

function protectedError(snapshot: StoredSnapshot, reasons: readonly string[]): HoldfastError {
  return new HoldfastError({
    code: 'snapshot.protected',
    message: `snapshot ${snapshot.id.slice(0, 8)} is protected: ${reasons.join(', ')}`,
    remedy: reasons.includes('pinned')
      ? `Let it go first with: holdfast unpin ${snapshot.id.slice(0, 8)}`
      : 'It can go once there is a newer one: back the source up and drill it.',
  });
}
