/** What is not safely restorable now, and why: for every declared source, in each of its repositories. */
import { z } from 'zod';
import { hasCode } from '../base/errors.ts';
import type { PolicyEntry, SourceEntry } from '../config/index.ts';
import type { StoredProof } from '../model/proof.ts';
import { type StoredSnapshot, sourceOf } from '../model/snapshot.ts';
import { longestGapMs, parseCron } from '../policy/cron.ts';
import { concernsAbout } from '../policy/readiness.ts';
import { listProofs, listSnapshots } from '../repository/index.ts';
import { describeError } from './describe-error.ts';
import { stillStopped } from './left-windows.ts';
import { type Execution, operation, type RepositoryAccess } from './operation.ts';
import { openNamed } from './repository-access.ts';

const input = z.object({});
const concern = z.object({ kind: z.string(), message: z.string(), remedy: z.string() });
const state = z.object({
  source: z.string(),
  driver: z.string(),
  repository: z.string(),
  ok: z.boolean(),
  snapshots: z.number(),
  newest: z.object({ id: z.string(), time: z.string(), ageMs: z.number() }).optional(),
  proof: z.object({ verdict: z.string(), ageMs: z.number(), restoreMs: z.number(), snapshot: z.string() }).optional(),
  concerns: z.array(concern),
});
export type SourceState = z.infer<typeof state>;
const output = z.object({
  ok: z.boolean(),
  sources: z.array(state),
  repositories: z.array(
    z.object({
      name: z.string(),
      ok: z.boolean(),
      code: z.string().optional(),
      message: z.string().optional(),
      remedy: z.string().optional(),
    }),
  ),
});
export type StatusOutput = z.infer<typeof output>;

type Uses = RepositoryAccess & Execution;

/** What a repository says: what is in it, or why it cannot be asked. */
type Answer =
  | { readonly snapshots: readonly StoredSnapshot[]; readonly proofs: readonly StoredProof[] }
  | { readonly error: unknown };

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
      source.placements.map(({ repository }) =>
        withStopped(stateOf(source, repository, answers.get(repository)!, uses), stopped.get(source.name)),
      ),
    );
    const repositories = names.map((name) => {
      const answer = answers.get(name)!;
      if (!('error' in answer)) return { name, ok: true };
      const { code, message, remedy } = describeError(answer.error);
      return { name, ok: false, code, message, remedy };
    });
    // Nothing declared is nothing protected, not everything.
    const ok = sources.length > 0 && [...sources, ...repositories].every((one) => one.ok);
    return { ok, sources, repositories };
  },
});

/** A service that stands still because of a backup is the most urgent thing to know about its source. */
function withStopped(state: SourceState, stopped: readonly string[] | undefined): SourceState {
  if (stopped === undefined) return state;
  const message = `a backup that was interrupted stopped ${stopped.join(', ')}, which could not be started again`;
  const concern = { kind: 'services-stopped', message, remedy: 'Start it by hand; then run any holdfast command.' };
  return { ...state, ok: false, concerns: [concern, ...state.concerns] };
}

async function ask(name: string, uses: Uses): Promise<Answer> {
  try {
    await using opened = await openNamed(name, uses);
    const { repository } = opened;
    const [snapshots, proofs] = await Promise.all([
      listSnapshots(repository, uses.signal),
      listProofs(repository, uses.signal),
    ]);
    return { snapshots, proofs };
  } catch (error) {
    if (uses.signal.aborted || hasCode(error, 'cancelled')) throw error;
    return { error };
  }
}

function stateOf(source: SourceEntry, repository: string, answer: Answer, uses: Uses): SourceState {
  const { name, driver } = source;
  if ('error' in answer) {
    const { message, remedy } = describeError(answer.error);
    const unknown = {
      kind: 'repository-unreachable',
      message: `its state in ${repository} is unknown: ${message}`,
      remedy,
    };
    return { source: name, driver, repository, ok: false, snapshots: 0, concerns: [unknown] };
  }
  const nowMs = uses.clock.nowMs();
  const own = answer.snapshots.filter((one) => sourceOf(one) === name);
  const proofs = answer.proofs.filter((one) => one.source === name);
  const newest = own.at(-1);
  const lastProof = proofs.at(-1);
  const policy = uses.config.policies.get(source.policy ?? '');
  const concerns = concernsAbout({
    nowMs,
    newest,
    lastProof,
    lastPassed: proofs.findLast((one) => one.verdict === 'passed'),
    ...periodsOf(policy),
  });
  return {
    source: name,
    driver,
    repository,
    ok: concerns.length === 0,
    snapshots: own.length,
    ...(newest ? { newest: { id: newest.id, time: newest.time, ageMs: nowMs - newest.timeMs } } : {}),
    ...(lastProof ? { proof: proofState(lastProof, nowMs) } : {}),
    concerns: concerns.map((one) => ({ ...one, remedy: remedyFor(one.kind, name, repository) })),
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

function remedyFor(kind: string, source: string, repository: string): string {
  const place = `--repository ${repository}`;
  return kind === 'never-backed-up' || kind === 'snapshot-old'
    ? `holdfast backup ${source} ${place}`
    : `holdfast drill ${source} ${place}`;
}
