/** Why a run failed, what is known around it, and what to do next. */
import { z } from 'zod';
import { formatInstant } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';
import { listHappenings } from '../../catalogue/happenings.ts';
import { readLogEnd } from '../../catalogue/log-end.ts';
import { findRun, listRuns } from '../../catalogue/run-list.ts';
import type { RunLogLine, RunRecord } from '../../model/run-record.ts';
import { suggestNext } from '../../policy/diagnosis.ts';
import { type CatalogueAccess, operation, type RepositoryAccess } from '../operation.ts';
import { requireRun, visibleTo } from './visible.ts';

const input = z.object({
  /** The whole id or a unique beginning of it; absent: the newest that failed. */
  id: z.string().min(1).max(26).optional(),
  /** Without an id: the newest failed run of this source. */
  source: z.string().optional(),
});
const brief = z.object({
  id: z.string(),
  kind: z.string(),
  source: z.string().optional(),
  state: z.string(),
  time: z.string(),
});
const output = z.object({
  run: brief.extend({
    repository: z.string().optional(),
    host: z.string(),
    policy: z.string().optional(),
    trigger: z.string(),
    attempt: z.number(),
    durationMs: z.number().optional(),
    worker: z.string().optional(),
  }),
  error: z.object({ code: z.string(), message: z.string(), remedy: z.string() }).optional(),
  /** The warnings, and the end, oldest first. */
  log: z.array(z.string()),
  /** Runs of the same kind and source. */
  lastSuccess: brief.optional(),
  failuresSince: z.number(),
  /** What changed between the last success and this failure, oldest first. */
  changes: z.array(z.object({ time: z.string(), title: z.string() })),
  /** Other runs that failed within the hour. */
  alsoFailed: z.array(brief.extend({ shares: z.array(z.string()), code: z.string().optional() })),
  next: z.object({ action: z.string(), why: z.string(), tryAgain: z.boolean() }),
});
export type DiagnoseOutput = z.infer<typeof output>;

type Uses = Pick<RepositoryAccess, 'config'> & CatalogueAccess;

const hourMs = 3_600_000;
const mostLines = 300;
const shownLines = 30;
const mostOthers = 10;
const changeTypes = ['config.changed', 'config.refused', 'server.started', 'agent.lost', 'agent.returned'] as const;

/** `run.unknown`, also where nothing failed. */
export const diagnoseRun = operation({
  name: 'runs diagnose',
  permission: 'viewer',
  input,
  output,
  run: async (request: z.infer<typeof input>, uses: Uses): Promise<DiagnoseOutput> => {
    const run = await chosenRun(request, uses);
    const about = { kinds: [run.kind], ...(run.source === undefined ? {} : { source: run.source }) };
    const [before, after, others, lines] = await Promise.all([
      runsOf({ ...about, untilMs: run.queuedAtMs }, 200, uses),
      runsOf({ ...about, sinceMs: run.queuedAtMs, states: ['succeeded'] }, 5, uses),
      runsOf({ states: ['failed'], sinceMs: run.queuedAtMs - hourMs, untilMs: run.queuedAtMs + hourMs }, 200, uses),
      readLogEnd(uses.catalogue, { id: run.id, limit: mostLines }),
    ]);
    const lastSuccess = before.find((one) => one.state === 'succeeded');
    const sinceMs = lastSuccess?.queuedAtMs ?? 0;
    const failuresSince = before.filter((one) => one.state === 'failed' && one.queuedAtMs > sinceMs).length + 1;
    const changes = await changesBetween(sinceMs, run, uses);
    const alsoFailed = others.filter((one) => one.id !== run.id && one.source !== run.source);
    const shared = alsoFailed.map((one) => ({ run: one, shares: sharesOf(run, one) }));
    const count = (what: string): number => shared.filter(({ shares }) => shares.includes(what)).length;
    return {
      run: viewOf(run),
      ...(run.error ? { error: { ...run.error } } : {}),
      log: relevantLines(lines),
      ...(lastSuccess ? { lastSuccess: briefOf(lastSuccess) } : {}),
      failuresSince,
      changes: changes.map(({ atMs, title }) => ({ time: formatInstant(atMs), title })),
      alsoFailed: shared.slice(0, mostOthers).map(({ run: one, shares }) => ({
        ...briefOf(one),
        shares,
        ...(one.error ? { code: one.error.code } : {}),
      })),
      next: suggestNext({
        kind: run.kind,
        source: run.source,
        repository: run.repository ?? firstRepository(run, uses),
        host: run.host,
        code: run.error?.code ?? '',
        failures: failuresSince,
        alike: { sameHost: count('host'), sameRepository: count('repository'), sameError: count('error') },
        configChanged: changes.some((one) => one.type === 'config.changed'),
        retriedWell: after.some((one) => one.id > run.id),
      }),
    };
  },
});

async function chosenRun({ id, source }: z.infer<typeof input>, uses: Uses): Promise<RunRecord> {
  if (id !== undefined) return requireRun(id, await findRun(uses.catalogue, id), 'viewer', uses);
  const [newest] = await runsOf({ states: ['failed'], ...(source === undefined ? {} : { source }) }, 1, uses);
  if (newest) return newest;
  throw new HoldfastError({
    code: 'run.unknown',
    message:
      source === undefined
        ? 'no run failed, as far as is remembered'
        : `no run of ${source} failed, as far as is remembered`,
    remedy: 'List what there is with: holdfast runs list',
  });
}

async function runsOf(
  filter: Parameters<typeof listRuns>[1],
  limit: number,
  uses: Uses,
): Promise<readonly RunRecord[]> {
  const visible = visibleTo(uses.principal, 'viewer', uses);
  return (await listRuns(uses.catalogue, { ...filter, ...(visible ? { visible } : {}) }, { limit })).runs;
}

async function changesBetween(sinceMs: number, run: RunRecord, uses: Uses) {
  const visible = visibleTo(uses.principal, 'viewer', uses);
  // Without a success to compare with, what changed in the last day is all that can matter.
  const fromMs = Math.max(sinceMs, sinceMs === 0 ? run.queuedAtMs - 24 * hourMs : 0);
  const filter = { types: changeTypes, sinceMs: fromMs, untilMs: (run.endedAtMs ?? run.queuedAtMs) + 1 };
  const page = await listHappenings(uses.catalogue, { ...filter, ...(visible ? { visible } : {}) }, { limit: 20 });
  return page.events.toReversed();
}

function sharesOf(run: RunRecord, other: RunRecord): string[] {
  return [
    ...(other.host === run.host && run.host !== 'local' ? ['host'] : []),
    ...(other.repository !== undefined && other.repository === run.repository ? ['repository'] : []),
    ...(other.error !== undefined && other.error.code === run.error?.code ? ['error'] : []),
  ];
}

function firstRepository(run: RunRecord, { config }: Uses): string | undefined {
  return config.sources.get(run.source ?? '')?.placements[0].repository;
}

/** Warnings wherever they are, and what came last; progress says nothing afterwards. */
function relevantLines(lines: readonly RunLogLine[]): string[] {
  const told = lines.filter(({ event }) => event.type !== 'progress');
  const end = new Set(told.slice(-15));
  return told
    .filter((line) => end.has(line) || line.event.type === 'warning')
    .slice(-shownLines)
    .map(({ atMs, event }) => `${formatInstant(atMs).slice(11, 19)} ${event.type}: ${wordsOf(event)}`);
}

function wordsOf(event: RunLogLine['event']): string {
  const subject = 'subject' in event && event.subject !== undefined ? `${event.subject}: ` : '';
  if (event.type === 'warning' || event.type === 'note') return subject + event.message;
  return subject + event.stage;
}

function briefOf({ id, kind, source, state, endedAtMs, queuedAtMs }: RunRecord): z.infer<typeof brief> {
  return { id, kind, ...(source === undefined ? {} : { source }), state, time: formatInstant(endedAtMs ?? queuedAtMs) };
}

function viewOf(run: RunRecord): DiagnoseOutput['run'] {
  const { repository, host, policy, trigger, attempt, startedAtMs, endedAtMs, worker } = run;
  const durationMs = startedAtMs === undefined || endedAtMs === undefined ? undefined : endedAtMs - startedAtMs;
  return { ...briefOf(run), repository, host, policy, trigger, attempt, durationMs, worker };
}
