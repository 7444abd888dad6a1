/** What the catalogue says of a run that an agent has. */
import type { Hold, ResultMessage } from '../../agent/protocol.ts';
import { formatInstant } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';
import { recordHappening } from '../../catalogue/happenings.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { appendLog } from '../../catalogue/run-log.ts';
import { getRun, happeningOf, titleOf } from '../../catalogue/runs.ts';
import { finalStates, type RunState } from '../../model/run-record.ts';

/** The run as it is held now. `run.ended` if nobody holds it any more. */
export async function holdOf({ db }: Catalogue, id: string): Promise<Hold> {
  const row = await db.selectFrom('run').select(['fence', 'state']).where('id', '=', id).executeTakeFirst();
  if (row?.state === 'running') return { runId: id, fence: row.fence };
  throw new HoldfastError({ code: 'run.ended', message: `the run ${id} has ended`, remedy: 'Nothing has to be done.' });
}

/** True once its end is written down, or it is somebody else's: the agent may forget it. */
export async function isEnded({ db }: Catalogue, { runId, fence }: Hold): Promise<boolean> {
  const row = await db.selectFrom('run').select(['fence', 'state']).where('id', '=', runId).executeTakeFirst();
  return row === undefined || row.fence !== fence || finalStates.has(row.state as RunState);
}

/**
 * A run that was closed as lost, and whose agent then says how it ended. Its state stays as it is, for another run may have
 * been started in its place; but nobody is left to believe that nothing was stored.
 */
export async function recordLate(
  catalogue: Catalogue,
  { agent, result, nowMs }: { readonly agent: string; readonly result: ResultMessage; readonly nowMs: number },
): Promise<void> {
  const run = await getRun(catalogue, result.runId);
  if (run?.error?.code !== 'run.lost') return;
  const { outcome } = result;
  // What came to its end may still not have done what it was to do.
  const gave = outcome.ok ? (outcome.output as { ok?: unknown; error?: { message?: unknown } } | undefined) : undefined;
  const isWell = gave?.ok === true;
  const why = outcome.ok ? String(gave?.error?.message ?? 'not all of it was done') : outcome.error.message;
  const how = isWell ? 'came to its end there' : `failed there: ${why}`;
  const message = `the agent «${agent}» was heard of again: the run ${how}, at ${formatInstant(result.endedAtMs)}`;
  await appendLog(catalogue, { id: run.id }, [{ atMs: nowMs, event: { type: 'note', message } }]);
  if (!isWell) return;
  await recordHappening(catalogue, {
    ...happeningOf(run, { type: 'run.warning', title: `the ${titleOf(run)} that was closed as lost had ended well` }),
    message,
    remedy: 'Nothing has to be done: what it stored is in the repository, and is used by later runs.',
  });
}
