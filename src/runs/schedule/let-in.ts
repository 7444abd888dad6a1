/** Lets queued runs in as the limits allow, closes what a newer slot has overtaken, and says why the others wait. */
import { formatInstant } from '../../base/clock.ts';
import { errorColumns, recordOf } from '../../catalogue/run-rows.ts';
import { happeningOf, missedError, missedHappening, titleOf } from '../../catalogue/runs.ts';
import type { CatalogueTransaction } from '../../catalogue/transaction.ts';
import { admit, type Candidate } from '../../policy/admission.ts';
import { type Before, slotsBefore, waitsFor } from '../../policy/after.ts';
import { isWithin } from '../../policy/day-hours.ts';
import type { RunPlan } from '../../policy/run-plan.ts';
import { type OpenRun, openRuns } from './open-runs.ts';

export interface LetIn {
  readonly admitted: readonly OpenRun[];
  /** By id: why it waits, as in «it waits because …». */
  readonly waiting: ReadonlyMap<string, string>;
  /** Were admitted before and are not claimed yet. */
  readonly unclaimed: readonly OpenRun[];
  readonly overtaken: number;
  /** What the log of an admitted run begins with, by id. */
  readonly remarks: ReadonlyMap<string, readonly string[]>;
}

/** As part of a transaction of the leader. */
export async function letIn(transaction: CatalogueTransaction, plan: RunPlan): Promise<LetIn> {
  const { nowMs } = transaction;
  const all = await openRuns(transaction);
  const overtaken = overtakenOf(all);
  const open = all.filter((run) => !overtaken.has(run));
  const waiting = open.filter((run) => run.admittedAtMs === undefined && !run.isRunning);
  const going = open.filter((run) => run.admittedAtMs !== undefined || run.isRunning);
  const waits = waitReasons(open, plan, nowMs);
  const candidates = waiting.map((run) => candidateOf(run, plan, waits.get(run.id)));
  const decided = admit(
    candidates,
    going.map((run) => candidateOf(run, plan)),
    { limits: plan.limits, nowMs },
  );
  const byId = new Map(waiting.map((run) => [run.id, run]));
  const admitted = decided.admitted.map((id) => byId.get(id)!);
  await markAdmitted(transaction, decided.admitted);
  await writeReasons(transaction, waiting, decided.waiting);
  const remarks = await remarksOn(transaction, admitted, plan);
  for (const [run, newer] of overtaken) await closeOvertaken(transaction, run, newer);
  return {
    admitted,
    waiting: decided.waiting,
    unclaimed: going.filter((run) => !run.isRunning),
    overtaken: overtaken.size,
    remarks,
  };
}

/** Waiting runs of a schedule that a newer slot of it has come for: that one makes good for both. */
function overtakenOf(all: readonly OpenRun[]): Map<OpenRun, OpenRun> {
  const newest = new Map<string, OpenRun>();
  const overtaken = new Map<OpenRun, OpenRun>();
  const waiting = all.filter((run) => run.slotMs !== undefined && run.admittedAtMs === undefined && !run.isRunning);
  for (const run of waiting.toSorted((a, b) => b.slotMs! - a.slotMs!)) {
    const key = JSON.stringify([run.kind, run.policy, run.source, run.repository, run.input]);
    const newer = newest.get(key);
    if (newer === undefined) newest.set(key, run);
    else if (newer.slotMs !== run.slotMs) overtaken.set(run, newer);
  }
  return overtaken;
}

function waitReasons(open: readonly OpenRun[], plan: RunPlan, nowMs: number): Map<string, string> {
  const backups = Map.groupBy(
    open.filter((run) => run.kind === 'backup' && run.slotMs !== undefined),
    (run) => slotName(run.policy ?? '', run.slotMs!),
  );
  const reasons = new Map<string, string>();
  for (const run of open) {
    const reason = waitReason(run, plan, { nowMs, backups });
    if (reason !== undefined) reasons.set(run.id, reason);
  }
  return reasons;
}

function waitReason(
  run: OpenRun,
  plan: RunPlan,
  { nowMs, backups }: { readonly nowMs: number; readonly backups: ReadonlyMap<string, readonly OpenRun[]> },
): string | undefined {
  if (run.notBeforeMs > nowMs) return `it begins ${formatInstant(run.notBeforeMs)}`;
  const window = plan.windowOf(run);
  if (window && !isWithin(window, nowMs, window.timezone)) return 'its window is not open';
  const openOf = ({ policy, slotMs }: Before): number =>
    (backups.get(slotName(policy, slotMs)) ?? []).filter((other) => other.id !== run.id).length;
  return run.slotMs === undefined ? undefined : waitsFor(beforeOf(run, plan), openOf, { slotMs: run.slotMs, nowMs });
}

function beforeOf(run: OpenRun, plan: RunPlan): Before[] {
  const after = run.slotMs === undefined ? [] : plan.after(run);
  return after.length === 0 ? [] : slotsBefore(after, run.slotMs!, plan.timings);
}

function slotName(policy: string, slotMs: number): string {
  return `${policy}@${slotMs}`;
}

function candidateOf(run: OpenRun, plan: RunPlan, waits?: string): Candidate {
  const { id, kind, source, host, notBeforeMs, queuedAtMs } = run;
  return {
    ...{ id, kind, source, host, waits },
    touches: plan.touches(run),
    stops: plan.stops(run),
    readyMs: Math.max(notBeforeMs, queuedAtMs),
  };
}

async function markAdmitted({ db, nowMs }: CatalogueTransaction, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  const atOnce = 400;
  for (let at = 0; at < ids.length; at += atOnce) {
    await db
      .updateTable('run')
      .set({ admittedAtMs: nowMs, waits: null })
      .where('id', 'in', ids.slice(at, at + atOnce))
      .where('state', '=', 'queued')
      .execute();
  }
}

/** Only what changed: most wait for the same as at the last look. */
async function writeReasons(
  { db }: CatalogueTransaction,
  waiting: readonly OpenRun[],
  reasons: ReadonlyMap<string, string>,
): Promise<void> {
  const changed = waiting.filter((run) => reasons.has(run.id) && reasons.get(run.id) !== run.waits);
  const atOnce = 400;
  for (const [waits, runs] of Map.groupBy(changed, (run) => reasons.get(run.id)!)) {
    for (let at = 0; at < runs.length; at += atOnce) {
      const ids = runs.slice(at, at + atOnce).map((run) => run.id);
      await db.updateTable('run').set({ waits }).where('id', 'in', ids).where('state', '=', 'queued').execute();
    }
  }
}

/** What comes after others says how they ended, if not all of them ended well. */
async function remarksOn(
  { db, nowMs }: CatalogueTransaction,
  admitted: readonly OpenRun[],
  plan: RunPlan,
): Promise<Map<string, string[]>> {
  const remarks = new Map<string, string[]>();
  for (const run of admitted) {
    for (const { policy, slotMs } of beforeOf(run, plan)) {
      const rows = await db
        .selectFrom('run')
        .select(['source', 'state'])
        .where('kind', '=', 'backup')
        .where('policy', '=', policy)
        .where('slotMs', '=', slotMs)
        .where('id', '!=', run.id)
        .orderBy('id')
        .execute();
      // The newest of a source counts: a failure that was made good is none.
      const last = new Map(rows.map((row) => [row.source, row.state]));
      const bad = [...last]
        .filter(([, state]) => state !== 'succeeded')
        .map(([source, state]) => `${source} (${state})`);
      if (bad.length === 0) continue;
      const late =
        nowMs - run.slotMs! > 0 && bad.some((one) => /queued|running/.test(one)) ? ', waited for long enough' : '';
      const remark = `it comes after ${policy}, of which not all went well: ${bad.join(', ')}${late}`;
      remarks.set(run.id, [...(remarks.get(run.id) ?? []), remark]);
    }
  }
  return remarks;
}

async function closeOvertaken(
  { db, nowMs, record }: CatalogueTransaction,
  run: OpenRun,
  newer: OpenRun,
): Promise<void> {
  const reason = `overtaken by the one that was due ${formatInstant(newer.slotMs!)}`;
  // What is only a repetition was not missed: its failure was told.
  const isRetry = run.trigger === 'retry';
  const row = await db
    .updateTable('run')
    .set({ state: isRetry ? 'cancelled' : 'missed', endedAtMs: nowMs, ...errorColumns(missedError(reason)) })
    .where('id', '=', run.id)
    .where('state', '=', 'queued')
    .returningAll()
    .executeTakeFirst();
  if (!row) return;
  const ended = recordOf(row);
  const title = `the ${titleOf(ended)} is not tried again: ${reason}`;
  await record(isRetry ? happeningOf(ended, { type: 'run.cancelled', title }) : missedHappening(ended, reason));
}
