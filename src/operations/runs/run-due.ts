/** One pass without a server, for an external cron: what is due now is done, and reported. What is to be tried again later is left to the next pass. */
import { z } from 'zod';
import { HoldfastError } from '../../base/errors.ts';
import type { Log } from '../../base/log.ts';
import { listedColumns, recordOf } from '../../catalogue/run-rows.ts';
import { listenFor } from '../../catalogue/wake.ts';
import type { Report } from '../../model/run.ts';
import { type RunRecord, runKinds, runStates } from '../../model/run-record.ts';
import { beginTelling, notifyAtEnd } from '../../notify/notify-at-end.ts';
import type { Execute } from '../../runs/execute.ts';
import { EmbeddedQueue } from '../../runs/queue/embedded-queue.ts';
import { openRuns } from '../../runs/schedule/open-runs.ts';
import { Scheduler } from '../../runs/schedule/scheduler.ts';
import { Worker } from '../../runs/worker/worker.ts';
import { notifierParts } from '../notify/notifier-parts.ts';
import { type CatalogueAccess, type Execution, operation, type SourceAccess } from '../operation.ts';
import { closeLeftWindows } from './close-left-windows.ts';
import { executeWith } from './execute-run.ts';
import { planOf, processName, windowsOf } from './runs-here.ts';

const input = z.object({});
const output = z.object({
  /** False if a run failed. */
  ok: z.boolean(),
  /** Those that ended during this pass, in the order of their ends. */
  runs: z.array(
    z.object({
      id: z.string(),
      kind: z.enum(runKinds),
      source: z.string().optional(),
      repository: z.string().optional(),
      state: z.enum(runStates),
      error: z.object({ code: z.string(), message: z.string(), remedy: z.string() }).optional(),
    }),
  ),
  /** Queued for later: to be tried again, or waiting for a window. */
  left: z.number(),
  /** Notifications that are not delivered yet: kept for the next call. */
  untold: z.number(),
});
export type RunDueOutput = z.infer<typeof output>;

type Uses = SourceAccess & Execution & CatalogueAccess;

const leaseMs = 60_000;
const lookEveryMs = 1000;
/** A start that is put off by jitter is waited for; anything later is left to the next pass. */
const longestJitterMs = 3_600_000;

export const runDue = operation({
  name: 'run',
  permission: 'admin',
  input,
  output,
  run: async (_request: z.infer<typeof input>, uses: Uses): Promise<RunDueOutput> => {
    const { catalogue, clock, signal, report } = uses;
    const beganMs = await catalogue.nowMs();
    const log = shownLog(report);
    await beginTelling(catalogue);
    const queue = new EmbeddedQueue(clock);
    const access = () => uses;
    const name = processName();
    const parts = { ...{ catalogue, clock, log, queue, leaseMs, name }, plan: planOf(access) };
    const scheduler = new Scheduler({ ...parts, pollMs: lookEveryMs, laneOf: () => 'any' });
    const execute = told(executeWith(access, windowsOf({ catalogue, env: uses.env, worker: name })), report);
    const capacity = uses.config.server.limits.runs;
    const worker = new Worker({ ...parts, execute, capacity, lanes: ['any'] });
    try {
      const first = await scheduler.look();
      if (!first.isLeading) throw somebodyElse();
      await closeLeftWindows(uses, { leads: true });
      worker.start();
      using news = listenFor(catalogue, 'queue', clock);
      while (await isAnythingLeft(worker, uses)) {
        await news.wait(lookEveryMs, signal);
        await scheduler.look();
      }
    } finally {
      await worker.stop(0);
      await scheduler.release();
    }
    const done = await resultOf(beganMs, uses);
    // Others may schedule meanwhile, and nothing that runs waits for a channel.
    const telling = { catalogue, clock, log, kinds: uses.channelKinds, ...notifierParts(access, signal) };
    return { ...done, untold: await notifyAtEnd(telling, signal) };
  },
});

/** What a server would log is shown. */
function shownLog(report: Report): Pick<Log, 'warn' | 'error'> {
  const show = (...[facts, message]: unknown[]): void => {
    const text = message === undefined ? String(facts) : `${String(message)}: ${JSON.stringify(facts)}`;
    report({ type: 'warning', code: 'internal', message: text });
  };
  return { warn: show, error: show };
}

/** What runs tell goes into their logs, and is shown. */
function told(execute: Execute, show: Report): Execute {
  return (run, uses) =>
    execute(run, {
      ...uses,
      report: (event) => {
        uses.report(event);
        show(event);
      },
    });
}

async function isAnythingLeft(worker: Worker, { catalogue }: Uses): Promise<boolean> {
  const nowMs = await catalogue.nowMs();
  const open = await openRuns(catalogue);
  const isSoon = (atMs: number): boolean => atMs - nowMs < longestJitterMs;
  const isOurs = (run: (typeof open)[number]): boolean =>
    run.isRunning || run.admittedAtMs !== undefined || (run.trigger !== 'retry' && isSoon(run.notBeforeMs));
  const ours = open.filter(isOurs);
  if (worker.running.length > 0 || ours.some((run) => run.admittedAtMs !== undefined)) return true;
  // Nothing goes on: what is ready and yet not let in waits for a window, or for what will be tried again.
  return ours.some((run) => run.notBeforeMs > nowMs);
}

async function resultOf(beganMs: number, { catalogue }: Uses): Promise<Omit<RunDueOutput, 'untold'>> {
  const rows = await catalogue.db
    .selectFrom('run')
    .select(listedColumns)
    .where('endedAtMs', '>=', beganMs)
    .orderBy('endedAtMs')
    .orderBy('id')
    .execute();
  const runs = rows.map(recordOf).map(({ id, kind, source, repository, state, error }: RunRecord) => ({
    ...{ id, kind, source, repository, state },
    ...(error ? { error: { code: error.code, message: error.message, remedy: error.remedy } } : {}),
  }));
  const left = (await openRuns(catalogue)).length;
  return { ok: runs.every((run) => run.state !== 'failed'), runs, left };
}

function somebodyElse(): HoldfastError {
  return new HoldfastError({
    code: 'run.conflict',
    message: 'a server, or another pass, schedules the runs of this catalogue now',
    remedy: 'Nothing needs to be done: what is due is done there. After a crash its lease ends within a minute.',
    retry: 'later',
  });
}
