/** One run, and what it told. */
import { z } from 'zod';
import { readLogEnd } from '../../catalogue/log-end.ts';
import { findRun } from '../../catalogue/run-list.ts';
import { readLog, tailLog } from '../../catalogue/run-log.ts';
import type { RunLogLine, RunRecord } from '../../model/run-record.ts';
import { type CatalogueAccess, type Emitting, type Execution, operation, type RepositoryAccess } from '../operation.ts';
import { logLineView, runView } from './run-view.ts';
import { requireRun } from './visible.ts';

type Uses = Pick<RepositoryAccess, 'config'> & CatalogueAccess;

/** The whole id, or a beginning of it that no other has. */
const id = z.string().min(1).max(26);
const input = z.object({ id });

/** With what its operation gave. `run.unknown`. */
export const showRun = operation({
  name: 'runs show',
  permission: 'viewer',
  input,
  output: runView,
  run: async (request: z.infer<typeof input>, uses: Uses): Promise<RunRecord> => await seenRun(request.id, uses),
});

const logInput = z.object({
  id,
  /** Lines after that number. */
  after: z.number().int().min(0).default(0),
  limit: z.number().int().min(1).max(1000).default(200),
});
const logOutput = z.object({
  lines: z.array(logLineView),
  /** The `after` of what follows; absent if there is nothing more now. */
  next: z.number().optional(),
});

/** A page of its log. */
export const showLog = operation({
  name: 'runs log',
  permission: 'viewer',
  input: logInput,
  output: logOutput,
  run: async ({ after, limit, ...request }: z.infer<typeof logInput>, uses: Uses) => {
    const run = await seenRun(request.id, uses);
    const lines = await readLog(uses.catalogue, { id: run.id, fromSeq: after + 1, limit: limit + 1 });
    const page = lines.slice(0, limit);
    return { lines: page, ...(lines.length > limit ? { next: page[limit - 1].seq } : {}) };
  },
});

const followInput = z.object({ id, after: z.number().int().min(0).default(0) });

/** All of it, and what comes until the run has ended; gives the run as it is then. */
export const followLog = operation({
  name: 'runs log',
  permission: 'viewer',
  input: followInput,
  output: runView,
  run: async (
    { after, ...request }: z.infer<typeof followInput>,
    uses: Uses & Execution & Emitting<RunLogLine>,
  ): Promise<RunRecord> => {
    const run = await seenRun(request.id, uses);
    for await (const line of tailLog(uses.catalogue, { id: run.id, fromSeq: after + 1 }, uses)) await uses.emit(line);
    return await seenRun(run.id, uses);
  },
});

async function seenRun(wanted: string, uses: Uses): Promise<RunRecord> {
  return requireRun(wanted, await findRun(uses.catalogue, wanted), 'viewer', uses);
}

const endInput = z.object({ id, limit: z.number().int().min(1).max(1000).default(50) });

/** The end of its log, oldest line first. */
export const showLogEnd = operation({
  name: 'runs log',
  permission: 'viewer',
  input: endInput,
  output: z.object({ lines: z.array(logLineView) }),
  run: async ({ limit, ...request }: z.infer<typeof endInput>, uses: Uses) => {
    const run = await seenRun(request.id, uses);
    return { lines: await readLogEnd(uses.catalogue, { id: run.id, limit }) };
  },
});
