/** Prove snapshots by restoring them into a throwaway place; each proof is kept in the repository. */
import { z } from 'zod';
import { hasCode } from '../../base/errors.ts';
import type { SourceEntry } from '../../config/index.ts';
import { drill as drillOne } from '../../drills/drill.ts';
import type { ContainerEngine } from '../../hosts/host.ts';
import type { Check } from '../../model/fingerprint.ts';
import type { Proof } from '../../model/proof.ts';
import { saveProof } from '../../repository/index.ts';
import { describeError } from '../describe-error.ts';
import { type Execution, operation, type SourceAccess } from '../operation.ts';
import { isAbsence } from '../repositories/absence.ts';
import { HostPool } from '../sources/host-pool.ts';
import { chooseSources, sourceOfSnapshot } from '../sources/source-access.ts';
import { openFound } from './opened-contents.ts';
import { proofView, viewProof } from './snapshot-view.ts';

const input = z.object({
  /** Sources (their newest snapshot) or snapshots. */
  targets: z.array(z.string()).default([]),
  policy: z.string().optional(),
  all: z.boolean().default(false),
  repository: z.string().optional(),
  /** Where the throwaway directory is made. */
  place: z.string().optional(),
});
const check = z.object({
  subject: z.string(),
  measure: z.string(),
  expected: z.string(),
  found: z.string(),
  ok: z.boolean(),
}) satisfies z.ZodType<Check>;
const result = z.object({
  target: z.string(),
  ok: z.boolean(),
  repository: z.string().optional(),
  /** It may be away, and is: nothing was proven there, which is no fault. */
  away: z.string().optional(),
  proof: proofView.extend({ checks: z.array(check) }).optional(),
  /** Why there is no proof. */
  error: z.object({ code: z.string(), message: z.string(), remedy: z.string() }).optional(),
});
export type DrillResult = z.infer<typeof result>;
const output = z.object({ ok: z.boolean(), results: z.array(result) });
export type DrillOutput = z.infer<typeof output>;

type Request = z.infer<typeof input>;
type Uses = SourceAccess & Execution;
type HostedUses = Uses & { readonly hosts: HostPool; readonly containers?: ContainerEngine };

/** A drill that fails does not keep the others from being made. */
export const drill = operation({
  name: 'drill',
  permission: 'operator',
  input,
  output,
  run: async (request: Request, uses: Uses): Promise<DrillOutput> => {
    const results: DrillResult[] = [];
    await using hosts = new HostPool(uses);
    await using containers = await openEngine(uses);
    for (const aim of aimsOf(request, uses))
      results.push(await attempt(aim, request, { ...uses, hosts, containers: containers.engine }));
    return { ok: results.every((one) => one.ok), results };
  },
});

/** With what a drill that was killed left behind removed. */
async function openEngine({ openContainers, report }: Uses): Promise<AsyncDisposable & { engine?: ContainerEngine }> {
  const engine = await openContainers();
  for (const name of (await engine?.removeLeftovers()) ?? []) {
    report({ type: 'note', message: `removed the container ${name}, left by a drill that did not end` });
  }
  return { engine, [Symbol.asyncDispose]: async () => await engine?.close() };
}

interface Aim {
  readonly target: string;
  /** Absent: the one with the newest. */
  readonly repository?: string;
  /** Nobody named the repository: it need not be there. */
  readonly mayBeAway?: boolean;
}

/** What is named, once; of a policy's or all sources, what is in each of their repositories. */
function aimsOf(request: Request, { config }: Uses): Aim[] {
  const { targets, all, policy, repository } = request;
  if (targets.length > 0 && !all && policy === undefined) return targets.map((target) => ({ target, repository }));
  const sources = chooseSources(config, { ...request, sources: targets });
  if (repository !== undefined) return sources.map(({ name }) => ({ target: name, repository }));
  return sources.flatMap((source) =>
    drilledIn(source).map((place): Aim => {
      const { mayBeAwayMs } = config.repositories.get(place) ?? {};
      return { target: source.name, repository: place, mayBeAway: mayBeAwayMs !== undefined };
    }),
  );
}

/** The repositories in which a source is drilled where nobody names one: all, unless its policy leaves some out. */
export function drilledIn({ placements }: SourceEntry): string[] {
  const drilled = placements.filter((one) => one.drill !== false);
  return (drilled.length > 0 ? drilled : placements).map(({ repository }) => repository);
}

async function attempt(aim: Aim, request: Request, uses: HostedUses): Promise<DrillResult> {
  const { target } = aim;
  let { repository } = aim;
  const chosen = (name: string): void => {
    repository = name;
  };
  try {
    return await prove(aim, request, { ...uses, chosen });
  } catch (error) {
    if (uses.signal.aborted || hasCode(error, 'cancelled')) throw error;
    const { code, message, remedy } = describeError(error);
    const place = repository === undefined ? {} : { repository };
    if (aim.mayBeAway && isAbsence(error)) return { target, ok: true, ...place, away: message };
    return { target, ok: false, ...place, error: { code, message, remedy } };
  }
}

async function prove(
  aim: Aim,
  request: Request,
  uses: HostedUses & { readonly chosen: (repository: string) => void },
): Promise<DrillResult> {
  const { target } = aim;
  await using opened = await openFound(target, aim.repository, uses);
  const { snapshot, contents } = opened;
  const { name, repository } = opened.found.opened;
  const { driver, source } = await sourceOfSnapshot(snapshot, uses, () => true);
  const declared = uses.config.sources.get(source.name);
  const proof = await drillOne({
    ...{ driver, source, snapshot, contents },
    containers: uses.containers,
    assertions: declared?.driver === driver.name ? declared.assertions : [],
    place: request.place,
  });
  const id = await saveProof(repository, proof);
  return {
    target,
    ok: proof.verdict === 'passed',
    repository: name,
    proof: { ...viewProof({ ...proof, id }), checks: checksOf(proof) },
  };
}

function checksOf(proof: Proof): Check[] {
  return proof.checks.map((one) => ({ ...one }));
}
