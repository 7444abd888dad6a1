/** What is not safely restorable now, and why: for every declared source, in each of its repositories. */
import { z } from 'zod';
import type { Placement, PolicyEntry, SourceEntry } from '../config/index.ts';
import type { StoredProof } from '../model/proof.ts';
import { sourceOf } from '../model/snapshot.ts';
import { longestGapMs, parseCron } from '../policy/cron.ts';
import { concernsAbout } from '../policy/readiness.ts';
import { stillStopped } from './left-windows.ts';
import { type Execution, operation, type RepositoryAccess } from './operation.ts';
import {
  type Answer,
  ask,
  copiesOf,
  copiesView,
  leftElsewhere,
  repositoryView,
  unknownState,
  viewRepository,
} from './repository-state.ts';

const input = z.object({});
const concern = z.object({ kind: z.string(), message: z.string(), remedy: z.string() });
const state = z.object({
  source: z.string(),
  driver: z.string(),
  repository: z.string(),
  ok: z.boolean(),
  /** What is kept there; absent: everything. */
  keep: z.record(z.string(), z.union([z.number(), z.string()])).optional(),
  /** Of its further repositories: how far they are behind the first. Absent if one of the two cannot be asked. */
  copies: copiesView.optional(),
  snapshots: z.number(),
  newest: z.object({ id: z.string(), time: z.string(), ageMs: z.number() }).optional(),
  proof: z.object({ verdict: z.string(), ageMs: z.number(), restoreMs: z.number(), snapshot: z.string() }).optional(),
  concerns: z.array(concern),
});
export type SourceState = z.infer<typeof state>;
const output = z.object({
  ok: z.boolean(),
  sources: z.array(state),
  repositories: z.array(repositoryView),
  /** Snapshots in repositories that their source is not stored in any more: nothing copies or removes them by itself. */
  elsewhere: z.array(z.object({ source: z.string(), repository: z.string(), snapshots: z.number() })),
});
export type StatusOutput = z.infer<typeof output>;

type Uses = RepositoryAccess & Execution;

export const status = operation({
  name: 'status',
  permission: 'viewer',
  input,
  output,
  run: async (_: z.infer<typeof input>, uses: Uses): Promise<StatusOutput> => {
    const { config } = uses;
    const names = [...config.repositories.keys()];
    const answers = new Map(await Promise.all(names.map(async (name) => [name, await ask(name, uses)] as const)));
    const stopped = await stillStopped(uses);
    const sources = [...config.sources.values()].flatMap((source) =>
      source.placements.map((placement) =>
        withStopped(stateOf(source, placement, answers, uses), stopped.get(source.name)),
      ),
    );
    const repositories = await Promise.all(
      names.map(async (name) => await viewRepository(name, answers.get(name)!, sources, uses)),
    );
    // Nothing declared is nothing protected, not everything.
    const ok = sources.length > 0 && [...sources, ...repositories].every((one) => one.ok);
    return { ok, sources, repositories, elsewhere: leftElsewhere(config, answers) };
  },
});

/** A service that stands still because of a backup is the most urgent thing to know about its source. */
function withStopped(state: SourceState, stopped: readonly string[] | undefined): SourceState {
  if (stopped === undefined) return state;
  const message = `a backup that was interrupted stopped ${stopped.join(', ')}, which could not be started again`;
  const concern = { kind: 'services-stopped', message, remedy: 'Start it by hand; then run any holdfast command.' };
  return { ...state, ok: false, concerns: [concern, ...state.concerns] };
}

function stateOf(
  source: SourceEntry,
  placement: Placement,
  answers: ReadonlyMap<string, Answer>,
  uses: Uses,
): SourceState {
  const { name, driver } = source;
  const { repository, keep } = placement;
  const answer = answers.get(repository)!;
  const facts = { source: name, driver, repository, ...(keep ? { keep: { ...keep } } : {}) };
  if ('error' in answer) return { ...facts, snapshots: 0, ...unknownState(source, repository, answer, uses) };
  const nowMs = uses.clock.nowMs();
  const own = answer.snapshots.filter((one) => sourceOf(one) === name);
  const proofs = answer.proofs.filter((one) => one.source === name);
  const newest = own.at(-1);
  const lastProof = proofs.at(-1);
  const copies = copiesOf(source, repository, answers, uses);
  const concerns = concernsAbout({
    nowMs,
    newest,
    lastProof,
    lastPassed: proofs.findLast((one) => one.verdict === 'passed'),
    mayBeAwayMs: uses.config.repositories.get(repository)?.mayBeAwayMs,
    behind: copies?.behind,
    ...periodsOf(uses.config.policies.get(source.policy ?? '')),
  });
  return {
    ...facts,
    ok: concerns.length === 0,
    ...(copies ? { copies } : {}),
    snapshots: own.length,
    ...(newest ? { newest: { id: newest.id, time: newest.time, ageMs: nowMs - newest.timeMs } } : {}),
    ...(lastProof ? { proof: proofState(lastProof, nowMs) } : {}),
    concerns: concerns.map((one) => ({ ...one, remedy: remedyFor(one.kind, source, repository) })),
  };
}

function proofState(proof: StoredProof, nowMs: number): NonNullable<SourceState['proof']> {
  const { verdict, restoreMs, snapshot } = proof;
  return { verdict, ageMs: nowMs - proof.startedAtMs, restoreMs, snapshot };
}

function periodsOf(policy: PolicyEntry | undefined): { backupEveryMs?: number; drillEveryMs?: number } {
  return { backupEveryMs: periodOf(policy?.schedule), drillEveryMs: periodOf(policy?.drill?.schedule) };
}

function periodOf(schedule: string | undefined): number | undefined {
  const cron = schedule === undefined ? undefined : parseCron(schedule);
  return cron === undefined || typeof cron === 'string' ? undefined : longestGapMs(cron);
}

function remedyFor(kind: string, source: SourceEntry, repository: string): string {
  const { name, placements } = source;
  const first = placements[0].repository;
  if (kind === 'copies-behind') return `holdfast repo copy ${first} --to ${repository} --source ${name}`;
  if (kind !== 'never-backed-up' && kind !== 'snapshot-old') return `holdfast drill ${name} --repository ${repository}`;
  // The further ones are filled by every backup.
  return repository === first ? `holdfast backup ${name} --repository ${repository}` : `holdfast backup ${name}`;
}
