/** Prove snapshots by restoring them into a throwaway place; each proof is kept in the repository. */
import { z } from 'zod';
import { hasCode } from '../../base/errors.ts';
import { drill as drillOne } from '../../drills/drill.ts';
import type { ContainerEngine } from '../../hosts/host.ts';
import type { Check } from '../../model/fingerprint.ts';
import type { Proof } from '../../model/proof.ts';
import { saveProof } from '../../repository/index.ts';
import { describeError } from '../describe-error.ts';
import { type Execution, operation, type SourceAccess } from '../operation.ts';
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
    const chosen = request.targets.length > 0 && !request.all && request.policy === undefined;
    const targets = chosen
      ? request.targets
      : chooseSources(uses.config, { ...request, sources: request.targets }).map((source) => source.name);
    const results: DrillResult[] = [];
    await using hosts = new HostPool(uses);
    await using containers = await openEngine(uses);
    for (const target of targets)
      results.push(await attempt(target, request, { ...uses, hosts, containers: containers.engine }));
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

async function attempt(target: string, request: Request, uses: HostedUses): Promise<DrillResult> {
  try {
    return await prove(target, request, uses);
  } catch (error) {
    if (uses.signal.aborted || hasCode(error, 'cancelled')) throw error;
    const { code, message, remedy } = describeError(error);
    return { target, ok: false, error: { code, message, remedy } };
  }
}

async function prove(target: string, request: Request, uses: HostedUses): Promise<DrillResult> {
  await using opened = await openFound(target, request.repository, uses);
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
