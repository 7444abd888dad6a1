/**
 * Tools that do something, each in two steps: without a confirmation they say what would be done and give one; with it, and
 * exactly the same input, it is done. None of them deletes or overwrites anything.
 */
import { z } from 'zod';
import { formatInstant } from '../../base/clock.ts';
import { backup } from '../../operations/backup/backup.ts';
import { startRun } from '../../operations/runs/start-run.ts';
import { drill } from '../../operations/snapshots/drill.ts';
import { proofs } from '../../operations/snapshots/proofs.ts';
import { restore } from '../../operations/snapshots/restore.ts';
import { status } from '../../operations/status/status.ts';
import { requireRepository, requireSource, requireTarget } from '../rights.ts';
import { ownSnapshot } from './own-snapshot.ts';
import { type Tool, type ToolContext, tool } from './tool.ts';

const source = z.string().describe('Name of a declared source.');
const repository = z
  .string()
  .optional()
  .describe('Default: the one with the newest snapshot, of equals the first of the source.');
const confirmation = z
  .string()
  .max(100)
  .optional()
  .describe(
    'What the first call gave. Show the plan to the person and give it only when they agree; the input must be the same.',
  );
const acting = { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: false };

type Kind = 'backup' | 'drill' | 'restore';

interface Action {
  readonly kind: Kind;
  readonly source: string;
  readonly repository?: string;
  /** Of the run, beyond source and repository. */
  readonly input: Readonly<Record<string, unknown>>;
  /** What would be done, for a person to agree to. */
  readonly plan: () => Promise<unknown>;
  /** Where nobody queues runs. */
  readonly perform: (report: ToolContext['uses']['report']) => Promise<{ ok: boolean; result: unknown }>;
}

const startBackup = tool({
  name: 'start_backup',
  title: 'Back a source up',
  description:
    'Backs one source up now, into all its repositories. The first call tells what would be done and gives a confirmation.',
  permission: backup.permission,
  input: { source, confirmation },
  annotations: acting,
  run: async ({ confirmation: given, ...input }, context) => {
    const { uses } = context;
    requireSource(input.source, backup.permission, uses);
    return await guarded('start_backup', { given, input }, context, {
      kind: 'backup',
      source: input.source,
      input: {},
      plan: async () => await backupPlan(input.source, context),
      perform: async (report) => {
        const request = { sources: [input.source], all: false, force: false, lockWaitMs: 60_000 };
        const result = await backup.run(request, { ...uses, report });
        return { ok: result.ok, result };
      },
    });
  },
});

const startDrill = tool({
  name: 'start_drill',
  title: 'Restore on trial',
  description:
    'Restores the newest snapshot of one source into a throwaway place, compares it with what the backup recorded, measures the time, and keeps the proof. Touches nothing that runs.',
  permission: drill.permission,
  input: { source, repository, confirmation },
  annotations: acting,
  run: async ({ confirmation: given, ...input }, context) => {
    const { uses } = context;
    requireSource(input.source, drill.permission, uses);
    requireRepository(input.repository, uses);
    return await guarded('start_drill', { given, input }, context, {
      kind: 'drill',
      source: input.source,
      repository: input.repository,
      input: {},
      plan: async () => {
        const { proofs: made } = await proofs.run({ source: input.source, repository: input.repository }, uses);
        const last = made.at(-1);
        return {
          does: `restores the newest snapshot of ${input.source} into a throwaway place on this machine, compares, and removes it`,
          lastTime: last && {
            time: last.time,
            verdict: last.verdict,
            restoreMs: last.restoreMs,
            bytes: last.restoredBytes,
          },
        };
      },
      perform: async (report) => {
        const request = { targets: [input.source], all: false, repository: input.repository };
        const result = await drill.run(request, { ...uses, report });
        return { ok: result.ok, result };
      },
    });
  },
});

const restoreTool = tool({
  name: 'restore',
  title: 'Restore beside what is there',
  description:
    'Restores a snapshot of a source to another place: a new folder or file, or a database of another name. Never overwrites: where something is in the way it refuses, or keeps it aside. Putting data back in its own place is left to a person: see the runbook.',
  permission: restore.permission,
  input: {
    source,
    snapshot: z.string().optional().describe('Id from list_snapshots. Default: the newest.'),
    repository,
    to: z
      .string()
      .min(1)
      .describe('Where to, in the words of its driver: a path that does not exist yet, or the name of a new database.'),
    include: z.array(z.string()).default([]).describe('Only what fits: paths, tables, keys.'),
    confirmation,
  },
  annotations: { ...acting, destructiveHint: true },
  run: async ({ confirmation: given, ...input }, context) => {
    const { uses } = context;
    requireSource(input.source, restore.permission, uses);
    requireTarget(input.to, restore.permission, uses);
    requireRepository(input.repository, uses);
    const { id, repository: place } = await ownSnapshot(input, uses);
    const request = {
      ...{ snapshot: id, repository: place, to: input.to, include: input.include },
      ...{ exclude: [], inPlace: false, overwrite: false },
    };
    return await guarded('restore', { given, input }, context, {
      kind: 'restore',
      source: input.source,
      repository: place,
      input: request,
      plan: async () => await restore.run({ ...request, dryRun: true }, uses),
      perform: async (report) => {
        const result = await restore.run({ ...request, dryRun: false }, { ...uses, report });
        return { ok: true, result };
      },
    });
  },
});

async function guarded(
  name: string,
  { given, input }: { readonly given: string | undefined; readonly input: object },
  { uses, parts }: ToolContext,
  action: Action,
): Promise<unknown> {
  // Also what the input means now: with a newer snapshot, the newest is another one than the person agreed to.
  const intent = { principal: uses.principal.name, tool: name, input: [input, action.input] };
  if (given === undefined) {
    const plan = await action.plan();
    const { token, expiresAtMs } = parts.confirmations.issue(intent);
    const next = `Nothing was done yet. Show this to the person; if they agree, call ${name} again with exactly the same input and this confirmation.`;
    return { plan, confirmation: token, expires: formatInstant(expiresAtMs), next };
  }
  parts.confirmations.redeem(given, intent);
  const entry = { action: `mcp.${name}`, subject: action.source };
  try {
    const begun = await begin(action, { uses, parts });
    await parts.record?.({ ...entry, outcome: 'done' });
    return begun;
  } catch (error) {
    await parts.record?.({ ...entry, outcome: 'failed' });
    throw error;
  }
}

/** At the server, which has limits and remembers; else in this process. */
async function begin({ kind, source: name, repository: place, input, perform }: Action, context: ToolContext) {
  const { uses, parts } = context;
  const { localRuns } = parts;
  const { catalogue } = uses;
  if (localRuns === undefined && catalogue !== undefined) {
    const { source: _, repository: __, ...rest } = input;
    const request = { kind, sources: [name], repository: place, input: rest, all: false };
    const { runs } = await startRun.run(request, { ...uses, catalogue });
    return { started: runs, next: 'Ask get_run how it goes.' };
  }
  if (localRuns === undefined) throw new Error('nothing here performs runs');
  const { id, state, error, result } = await localRuns.start({ kind, source: name, perform });
  return {
    run: { id, kind, state, error, result },
    ...(state === 'running' ? { next: 'Ask get_run how it goes.' } : {}),
  };
}

async function backupPlan(name: string, { uses }: ToolContext): Promise<unknown> {
  const entry = uses.config.sources.get(name)!;
  const { sources } = await status.run({ only: 'all' }, uses);
  const stops = entry.window?.before.flatMap((step) => ('stop' in step ? [step.stop.name] : [])) ?? [];
  return {
    does: `backs ${name} up (${entry.driver} on ${entry.host}) into ${entry.placements.map((one) => one.repository).join(', ')}`,
    ...(stops.length > 0 ? { stopsMeanwhile: stops } : {}),
    now: sources
      .filter((one) => one.source === name)
      .map(({ repository: place, newest, snapshots }) => ({ repository: place, newest: newest?.time, snapshots })),
  };
}

export const actionTools: readonly Tool[] = [startBackup, startDrill, restoreTool];
