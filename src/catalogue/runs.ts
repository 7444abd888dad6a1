/**
 * Runs as the catalogue keeps them; see `model/run-record.ts` for their states. Every change is one statement or one
 * transaction that names the state it starts from, so of several who try the same one succeeds. Who executes a run holds it
 * with a *fence*, a number that grows with every change of holder: with an older one nothing can be written any more.
 */
import { formatInstant } from '../base/clock.ts';
import type { EventType } from '../model/event.ts';
import type { RunEvent } from '../model/run.ts';
import type { RunError, RunRecord, RunState } from '../model/run-record.ts';
import type { Catalogue } from './open.ts';
import { type DueRun, errorColumns, type NewRun, recordOf, rowOf } from './run-rows.ts';
import { type CatalogueTransaction, inTransaction, type NewHappening } from './transaction.ts';
import { wake } from './wake.ts';

export type { DueRun, NewRun } from './run-rows.ts';
export type { NewHappening } from './transaction.ts';

/** Who holds a run. */
export interface Hold {
  readonly id: string;
  readonly fence: number;
}

export interface ClaimedRun {
  readonly run: RunRecord;
  readonly fence: number;
  /** By the catalogue's clock. */
  readonly leaseUntilMs: number;
}

export interface RunOutcome {
  readonly state: Extract<RunState, 'succeeded' | 'failed' | 'cancelled'>;
  readonly error?: RunError;
  readonly result?: unknown;
  readonly bytes?: number;
  readonly addedBytes?: number;
  readonly snapshot?: string;
  /** Of a run that named none: what it turned out to be. */
  readonly repository?: string;
}

/** Queues a run that was due, once for all time by its `slotKey`; `undefined` if it exists already, in whatever state. */
export async function insertDueRun(catalogue: Catalogue, run: DueRun): Promise<RunRecord | undefined> {
  return await insert(catalogue, run);
}

/** Queues what somebody asked for. */
export async function insertRun(catalogue: Catalogue, run: NewRun): Promise<RunRecord> {
  return (await insert(catalogue, run))!;
}

async function insert(catalogue: Catalogue, run: NewRun & { slotKey?: string }): Promise<RunRecord | undefined> {
  const row = await catalogue.db
    .insertInto('run')
    .values(rowOf(run, 'queued', await catalogue.nowMs()))
    .onConflict((conflict) => conflict.column('slotKey').doNothing())
    .returningAll()
    .executeTakeFirst();
  if (row) wake(catalogue, 'queue');
  return row && recordOf(row);
}

/** With its result. */
export async function getRun(catalogue: Catalogue, id: string): Promise<RunRecord | undefined> {
  const row = await catalogue.db.selectFrom('run').selectAll().where('id', '=', id).executeTakeFirst();
  return row && recordOf(row);
}

/** queued → running, for one of all who try; `undefined` for the others, and if it was taken back. */
export async function claimRun(
  catalogue: Catalogue,
  { id, worker, leaseMs }: { readonly id: string; readonly worker: string; readonly leaseMs: number },
): Promise<ClaimedRun | undefined> {
  const nowMs = await catalogue.nowMs();
  const leaseUntilMs = nowMs + leaseMs;
  const row = await catalogue.db
    .updateTable('run')
    .set((eb) => ({ state: 'running', worker, leaseUntilMs, startedAtMs: nowMs, fence: eb('fence', '+', 1) }))
    .where('id', '=', id)
    .where('state', '=', 'queued')
    .returningAll()
    .executeTakeFirst();
  if (!row) return undefined;
  wake(catalogue, id);
  return { run: recordOf(row), fence: row.fence, leaseUntilMs };
}

/** False if somebody else decides about the run now: stop at once, and write nothing more. */
export async function renewLease(
  catalogue: Catalogue,
  { id, fence, leaseMs }: Hold & { readonly leaseMs: number },
): Promise<false | { readonly leaseUntilMs: number; readonly cancelRequested: boolean }> {
  const leaseUntilMs = (await catalogue.nowMs()) + leaseMs;
  const row = await catalogue.db
    .updateTable('run')
    .set({ leaseUntilMs })
    .where('id', '=', id)
    .where('fence', '=', fence)
    .where('state', '=', 'running')
    .returning('cancelRequested')
    .executeTakeFirst();
  return row === undefined ? false : { leaseUntilMs, cancelRequested: row.cancelRequested !== 0 };
}

/** Replaces the progress that lists show; the log is written by `appendLog`. False as in `renewLease`. */
export async function saveProgress(
  catalogue: Catalogue,
  { id, fence }: Hold,
  progress: Extract<RunEvent, { type: 'progress' }>,
): Promise<boolean> {
  const { numUpdatedRows } = await catalogue.db
    .updateTable('run')
    .set({ progress: JSON.stringify(progress) })
    .where('id', '=', id)
    .where('fence', '=', fence)
    .where('state', '=', 'running')
    .executeTakeFirst();
  if (numUpdatedRows > 0n) wake(catalogue, id);
  return numUpdatedRows > 0n;
}

/**
 * running → a final state, what happened, and the runs that come of it, together. `undefined` if somebody else has the run: its outcome is theirs.
 * The same call again (the answer to the first was lost) writes nothing and gives the run.
 */
export async function finishRun(
  catalogue: Catalogue,
  {
    id,
    fence,
    outcome,
    events,
    next = [],
  }: Hold & {
    readonly outcome: RunOutcome;
    readonly events: readonly NewHappening[];
    readonly next?: readonly DueRun[];
  },
): Promise<RunRecord | undefined> {
  const run = await inTransaction(catalogue, async ({ db, nowMs, record }) => {
    const row = await db
      .updateTable('run')
      .set({
        endedAtMs: nowMs,
        leaseUntilMs: null,
        ...outcomeColumns(outcome),
      })
      .where('id', '=', id)
      .where('fence', '=', fence)
      .where('state', '=', 'running')
      .returningAll()
      .executeTakeFirst();
    for (const run of row ? next : []) await insertNext(db, run, nowMs);
    for (const event of row ? events : []) await record({ ...event, run: id });
    return row && recordOf(row);
  });
  if (run === undefined) return await finishedBefore(catalogue, { id, fence, state: outcome.state });
  tellEnd(catalogue, id);
  return run;
}

function outcomeColumns({ state, error, result, bytes, addedBytes, snapshot, repository }: RunOutcome) {
  return {
    state,
    ...errorColumns(error),
    result: result === undefined ? null : JSON.stringify(result),
    bytes: bytes ?? null,
    addedBytes: addedBytes ?? null,
    snapshot: snapshot ?? null,
    ...(repository === undefined ? {} : { repository }),
  };
}

async function finishedBefore(
  { db }: Catalogue,
  { id, fence, state }: Hold & { readonly state: string },
): Promise<RunRecord | undefined> {
  const row = await db
    .selectFrom('run')
    .selectAll()
    .where('id', '=', id)
    .where('fence', '=', fence)
    .where('state', '=', state)
    .executeTakeFirst();
  return row && recordOf(row);
}

/** One that exists once, as part of another change. */
async function insertNext(db: CatalogueTransaction['db'], run: DueRun, nowMs: number): Promise<void> {
  await db
    .insertInto('run')
    .values(rowOf(run, 'queued', nowMs))
    .onConflict((conflict) => conflict.column('slotKey').doNothing())
    .execute();
}

/**
 * Closes the runs whose lease has ended by the catalogue's clock: nobody says how they ended. What `nextOf` gives for one is
 * queued together with its end. Gives those it closed.
 */
export async function closeLostRuns(
  catalogue: Catalogue,
  nextOf: (run: RunRecord, nowMs: number) => DueRun | undefined = () => undefined,
): Promise<RunRecord[]> {
  const nowMs = await catalogue.nowMs();
  const lost = await catalogue.db
    .selectFrom('run')
    .select('id')
    .where('state', '=', 'running')
    .where('leaseUntilMs', '<', nowMs)
    .execute();
  const closed: RunRecord[] = [];
  for (const { id } of lost) {
    const run = await inTransaction(catalogue, (transaction) => closeLost(transaction, id, nextOf));
    if (run === undefined) continue;
    closed.push(run);
    tellEnd(catalogue, id);
  }
  return closed;
}

async function closeLost(
  { db, nowMs, record }: CatalogueTransaction,
  id: string,
  nextOf: (run: RunRecord, nowMs: number) => DueRun | undefined,
): Promise<RunRecord | undefined> {
  const error: RunError = {
    code: 'run.lost',
    message: 'nothing was heard of it until its lease ended: its process or its machine died',
    remedy: 'Look at the log of the worker; what was stored until then is used by the next run.',
  };
  const row = await db
    .updateTable('run')
    .set((eb) => ({
      state: 'failed',
      endedAtMs: nowMs,
      leaseUntilMs: null,
      fence: eb('fence', '+', 1),
      ...errorColumns(error),
    }))
    .where('id', '=', id)
    .where('state', '=', 'running')
    .where('leaseUntilMs', '<', nowMs)
    .returningAll()
    .executeTakeFirst();
  if (!row) return undefined;
  const run = recordOf(row);
  const next = nextOf(run, nowMs);
  if (next) await insertNext(db, next, nowMs);
  const title = `the ${titleOf(run)} ended without saying how${run.worker === undefined ? '' : ` on ${run.worker}`}`;
  await record(happeningOf(run, { type: 'run.lost', title, error }));
  return run;
}

/**
 * A queued run is cancelled at once; who holds a running one is told by its next `renewLease`. `undefined` for an unknown
 * run; `ended` if it has a final state already.
 */
export async function requestCancel(
  catalogue: Catalogue,
  { id, by }: { readonly id: string; readonly by: string },
): Promise<{ readonly outcome: 'cancelled' | 'requested' | 'ended'; readonly run: RunRecord } | undefined> {
  const taken = await inTransaction(catalogue, (transaction) => takeBack(transaction, id, by));
  if (taken) {
    tellEnd(catalogue, id);
    return { outcome: 'cancelled', run: taken };
  }
  const row = await catalogue.db
    .updateTable('run')
    .set({ cancelRequested: 1 })
    .where('id', '=', id)
    .where('state', '=', 'running')
    .returningAll()
    .executeTakeFirst();
  if (row) {
    for (const news of ['queue', id]) wake(catalogue, news);
    return { outcome: 'requested', run: recordOf(row) };
  }
  const run = await getRun(catalogue, id);
  return run && { outcome: 'ended', run };
}

async function takeBack(transaction: CatalogueTransaction, id: string, by: string): Promise<RunRecord | undefined> {
  const error = { code: 'cancelled', message: `${by} took it back before it began`, remedy: 'Start it again.' };
  const run = await endQueued(transaction, id, { state: 'cancelled', error });
  if (run)
    await transaction.record(happeningOf(run, { type: 'run.cancelled', title: `${by} took back the ${titleOf(run)}` }));
  return run;
}

/** A queued run whose time went by: `undefined` if it is not queued any more. `reason` as in «its window closed at 05:00». */
export async function markMissed(
  catalogue: Catalogue,
  { id, reason }: { readonly id: string; readonly reason: string },
): Promise<RunRecord | undefined> {
  const run = await inTransaction(catalogue, async (transaction) => {
    const missed = await endQueued(transaction, id, { state: 'missed', error: missedError(reason) });
    if (missed) await transaction.record(missedHappening(missed, reason));
    return missed;
  });
  if (run) tellEnd(catalogue, id);
  return run;
}

/** The same for one that was never queued, once for all time by its `slotKey`. */
export async function insertMissedRun(
  catalogue: Catalogue,
  { reason, ...due }: DueRun & { readonly reason: string },
): Promise<RunRecord | undefined> {
  const run = await inTransaction(catalogue, async ({ db, nowMs, record }) => {
    const row = await db
      .insertInto('run')
      .values({ ...rowOf(due, 'missed', nowMs), ...errorColumns(missedError(reason)) })
      .onConflict((conflict) => conflict.column('slotKey').doNothing())
      .returningAll()
      .executeTakeFirst();
    if (!row) return undefined;
    const missed = recordOf(row);
    await record(missedHappening(missed, reason));
    return missed;
  });
  if (run) tellEnd(catalogue, run.id);
  return run;
}

async function endQueued(
  { db, nowMs }: CatalogueTransaction,
  id: string,
  { state, error }: { readonly state: RunState; readonly error: RunError },
): Promise<RunRecord | undefined> {
  const row = await db
    .updateTable('run')
    .set({ state, endedAtMs: nowMs, ...errorColumns(error) })
    .where('id', '=', id)
    .where('state', '=', 'queued')
    .returningAll()
    .executeTakeFirst();
  return row && recordOf(row);
}

export function missedError(reason: string): RunError {
  return { code: 'run.missed', message: `it did not run: ${reason}`, remedy: 'Start it now if it is wanted.' };
}

export function missedHappening(run: RunRecord, reason: string): NewHappening {
  const due = run.slotMs === undefined ? '' : ` that was due ${formatInstant(run.slotMs)}`;
  const type = `${run.kind}.missed` as EventType;
  return happeningOf(run, {
    type,
    title: `the ${titleOf(run)}${due} did not run: ${reason}`,
    error: missedError(reason),
  });
}

/** `backup of shop into nas`. */
export function titleOf({ kind, source, repository }: Pick<RunRecord, 'kind' | 'source' | 'repository'>): string {
  const of = source === undefined ? '' : ` of ${source}`;
  const preposition = {
    backup: 'into',
    copy: 'into',
    drill: 'from',
    restore: 'from',
    forget: 'in',
    prune: 'of',
    check: 'of',
  };
  return `${kind}${of}${repository === undefined ? '' : ` ${preposition[kind]} ${repository}`}`;
}

/** What a happening about a run says in any case. */
export function happeningOf(
  run: RunRecord,
  { type, title, error }: { readonly type: EventType; readonly title: string; readonly error?: RunError },
): NewHappening {
  const { source, repository, policy } = run;
  return {
    type,
    title,
    run: run.id,
    ...(source === undefined ? {} : { source }),
    ...(repository === undefined ? {} : { repository }),
    ...(policy === undefined ? {} : { policy }),
    ...(error ? { message: error.message, remedy: error.remedy, errorCode: error.code } : {}),
    facts: { kind: run.kind, trigger: run.trigger, attempt: run.attempt },
  };
}

function tellEnd(catalogue: Catalogue, id: string): void {
  for (const news of ['queue', id]) wake(catalogue, news);
}
