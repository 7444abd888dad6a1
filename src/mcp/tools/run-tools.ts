/** Tools about runs: what was done, how it went, and why it failed. */
import { z } from 'zod';
import { formatInstant } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';
import { type RunRecord, runKinds, runStates } from '../../model/run-record.ts';
import { diagnoseRun } from '../../operations/runs/diagnose-run.ts';
import { listRuns } from '../../operations/runs/list-runs.ts';
import { showLogEnd, showRun } from '../../operations/runs/show-run.ts';
import type { LocalRun } from '../local-runs.ts';
import { seenBy } from '../rights.ts';
import { reading, type Tool, type ToolContext, tool } from './tool.ts';

const id = z.string().min(4).max(26).describe('Id of a run, or a unique beginning of it.');

const listTool = tool({
  name: 'list_runs',
  title: 'List runs',
  description: 'What was done, is being done and waits, newest first: backups, drills, checks, prunes, restores.',
  permission: listRuns.permission,
  input: {
    source: z.string().optional(),
    kinds: z.array(z.enum(runKinds)).optional(),
    states: z.array(z.enum(runStates)).optional(),
    limit: z.number().int().min(1).max(100).default(20),
    cursor: z.string().optional().describe('What the page before gave as «next».'),
  },
  annotations: reading,
  run: async (input, { uses, parts }) => {
    const { catalogue } = uses;
    if (catalogue !== undefined) {
      const { runs, next } = await listRuns.run(input, { ...uses, catalogue });
      return { runs: runs.map(viewRun), next };
    }
    const seen = seenBy(uses);
    const own = (parts.localRuns?.list() ?? []).filter((run) => seen.source(run.source));
    return { note: 'No server remembers runs here: these were made by this session.', runs: own.map(viewLocal) };
  },
});

const getTool = tool({
  name: 'get_run',
  title: 'Show a run',
  description: 'How one run stands or ended, with the end of its log.',
  permission: showRun.permission,
  input: {
    id,
    lines: z.number().int().min(0).max(100).default(20).describe('How many lines of its log, the last ones.'),
  },
  annotations: reading,
  run: async ({ id: wanted, lines }, context) => {
    const local = context.parts.localRuns?.get(wanted);
    if (local && seenBy(context.uses).source(local.source)) {
      return { ...viewLocal(local), log: local.log.slice(-lines).map(({ event }) => event) };
    }
    const uses = withCatalogue(context);
    const run = await showRun.run({ id: wanted }, uses);
    const log = lines === 0 ? { lines: [] } : await showLogEnd.run({ id: run.id, limit: lines }, uses);
    return { ...viewRun(run), log: log.lines.map(({ atMs, event }) => ({ time: formatInstant(atMs), ...event })) };
  },
});

const diagnoseTool = tool({
  name: 'diagnose_run',
  title: 'Why did it fail',
  description:
    'Why a run failed: its error and remedy, the part of its log that matters, what changed since the last success, what else failed at that time, and what to do next. Without an id: the newest that failed.',
  permission: diagnoseRun.permission,
  input: {
    id: id.optional(),
    source: z.string().optional().describe('Without an id: the newest failed run of this source.'),
  },
  annotations: reading,
  run: async (input, context) => await diagnoseRun.run(input, withCatalogue(context)),
});

function withCatalogue({ uses }: ToolContext) {
  const { catalogue } = uses;
  if (catalogue !== undefined) return { ...uses, catalogue };
  throw new HoldfastError({
    code: 'run.unknown',
    message: 'there is no such run: without a server only those of this session are remembered',
    remedy: 'Use list_runs; or run «holdfast serve», which remembers them.',
  });
}

/** What a reader needs; what the operation gave is long, and in the log in other words. */
function viewRun(run: RunRecord): object {
  const { id: runId, kind, source, repository, host, policy, trigger, state, attempt } = run;
  const { queuedAtMs, startedAtMs, endedAtMs, progress, askedBy, error, bytes, addedBytes, snapshot } = run;
  const time = (ms: number | undefined): string | undefined => (ms === undefined ? undefined : formatInstant(ms));
  return {
    ...{ id: runId, kind, source, repository, host, policy, trigger, state, attempt },
    ...{ askedBy, error, bytes, addedBytes, snapshot },
    ...{ queued: time(queuedAtMs), started: time(startedAtMs), ended: time(endedAtMs) },
    ...(state === 'running' ? { progress } : {}),
  };
}

function viewLocal(run: LocalRun): object {
  const { id: runId, kind, source, state, startedAtMs, endedAtMs, error, result } = run;
  const ended = endedAtMs === undefined ? undefined : formatInstant(endedAtMs);
  return { id: runId, kind, source, state, started: formatInstant(startedAtMs), ended, error, result };
}

export const runTools: readonly Tool[] = [listTool, getTool, diagnoseTool];
