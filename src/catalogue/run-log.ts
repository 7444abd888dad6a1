/** What a run told while it went on: lines numbered from 1 without gaps, in the order they were told. */
import type { Clock } from '../base/clock.ts';
import type { RunEvent } from '../model/run.ts';
import { finalStates, type RunLogLine, type RunState } from '../model/run-record.ts';
import type { Catalogue } from './open.ts';
import { firstIdOf } from './run-list.ts';
import { inTransaction } from './transaction.ts';
import { listenFor, wake } from './wake.ts';

export interface ToldEvent {
  readonly atMs: number;
  readonly event: RunEvent;
  /** As who performs the run elsewhere numbers it, within one fence. */
  readonly number?: number;
}

/** As it is kept: with the fence and the number it was told under. */
type KeptEvent = RunEvent & { readonly told?: readonly [fence: number, number: number] };

/** Rows a statement writes: bounded by what SQLite takes as parameters. */
const rowsAtOnce = 500;
/** How long news of another process may take. */
const pollMs = 1000;

/**
 * Adds lines. Give the fence of who executes the run: false if that is somebody else by now, or the run is not known, and
 * nothing is written. Without a fence anybody may add a line, e.g. who asked it to stop.
 */
export async function appendLog(
  catalogue: Catalogue,
  { id, fence }: { readonly id: string; readonly fence?: number },
  told: readonly ToldEvent[],
): Promise<boolean> {
  if (told.length === 0) return true;
  const isOurs = await inTransaction(catalogue, async ({ db, kind }) => {
    const run = await db
      .selectFrom('run')
      .select('fence')
      .where('id', '=', id)
      .$if(fence !== undefined, (q) => q.where('fence', '=', fence!))
      // Two who add at once would give the same numbers; SQLite has one writer anyway.
      .$if(kind === 'postgres', (q) => q.forUpdate())
      .executeTakeFirst();
    if (!run) return false;
    const last = await db
      .selectFrom('runLog')
      .select('seq')
      .where('runId', '=', id)
      .orderBy('seq', 'desc')
      .limit(1)
      .executeTakeFirst();
    const rows = told.map(({ atMs, event, number }, i) => ({
      runId: id,
      seq: (last?.seq ?? 0) + 1 + i,
      atMs,
      event: JSON.stringify(number === undefined ? event : { ...event, told: [run.fence, number] }),
    }));
    for (let at = 0; at < rows.length; at += rowsAtOnce) {
      await db
        .insertInto('runLog')
        .values(rows.slice(at, at + rowsAtOnce))
        .execute();
    }
    return true;
  });
  if (isOurs) wake(catalogue, id);
  return isOurs;
}

/** At most `limit` lines from number `fromSeq` on. */
export async function readLog(
  { db }: Catalogue,
  { id, fromSeq = 1, limit }: { readonly id: string; readonly fromSeq?: number; readonly limit: number },
): Promise<RunLogLine[]> {
  const rows = await db
    .selectFrom('runLog')
    .selectAll()
    .where('runId', '=', id)
    .where('seq', '>=', fromSeq)
    .orderBy('seq')
    .limit(limit)
    .execute();
  return rows.map((row) => ({ ...row, event: eventOf(row.event) }));
}

/** As it was reported. */
export function eventOf(kept: string): RunEvent {
  const { told: _, ...event } = JSON.parse(kept) as KeptEvent;
  return event;
}

/** The number of the last numbered line under that fence, so that what is told again is not written twice; 0 if there is none. */
export async function lastTold(
  { db }: Catalogue,
  { id, fence }: { readonly id: string; readonly fence: number },
): Promise<number> {
  // Within a text of the event the quotes would be escaped.
  const row = await db
    .selectFrom('runLog')
    .select('event')
    .where('runId', '=', id)
    .where('event', 'like', `%"told":[${fence},%`)
    .orderBy('seq', 'desc')
    .limit(1)
    .executeTakeFirst();
  return (row && (JSON.parse(row.event) as KeptEvent).told?.[1]) ?? 0;
}

/** How many warnings the log of the run has. */
export async function countWarnings({ db }: Catalogue, id: string): Promise<number> {
  const { count } = await db
    .selectFrom('runLog')
    .select((eb) => eb.fn.countAll().as('count'))
    .where('runId', '=', id)
    // As in `lastTold`.
    .where('event', 'like', '%"type":"warning"%')
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** All lines from `fromSeq` on, those to come too, until the run has ended (or is not known any more). Rejects with `cancelled`. */
export async function* tailLog(
  catalogue: Catalogue,
  { id, fromSeq = 1 }: { readonly id: string; readonly fromSeq?: number },
  { signal, clock }: { readonly signal: AbortSignal; readonly clock: Clock },
): AsyncIterable<RunLogLine> {
  using listening = listenFor(catalogue, id, clock);
  for (let next = fromSeq; ; ) {
    signal.throwIfAborted();
    const hasEnded = await isOver(catalogue, id);
    // Read after that: what is told is written before the end is.
    const lines = await readLog(catalogue, { id, fromSeq: next, limit: rowsAtOnce });
    yield* lines;
    next += lines.length;
    if (lines.length === rowsAtOnce) continue;
    if (hasEnded) return;
    await listening.wait(pollMs, signal);
  }
}

async function isOver({ db }: Catalogue, id: string): Promise<boolean> {
  const row = await db.selectFrom('run').select('state').where('id', '=', id).executeTakeFirst();
  return row === undefined || finalStates.has(row.state as RunState);
}

/** Removes lines of ended runs that were queued before an instant; the runs stay. At most `batch`; gives how many. Until it is 0. */
export async function removeOldLogs(catalogue: Catalogue, beforeMs: number, batch: number): Promise<number> {
  return await inTransaction(catalogue, async ({ db }) => {
    const old = await db
      .selectFrom('runLog')
      .select(['runId', 'seq'])
      .where('runId', '<', firstIdOf(beforeMs))
      .where('runId', 'not in', (q) => q.selectFrom('run').select('id').where('state', 'in', ['queued', 'running']))
      .orderBy('runId')
      .orderBy('seq')
      .limit(batch)
      .execute();
    const last = old.at(-1);
    if (last === undefined) return 0;
    const { numDeletedRows } = await db
      .deleteFrom('runLog')
      .where((eb) => eb(eb.refTuple('runId', 'seq'), '<=', eb.tuple(last.runId, last.seq)))
      .where('runId', 'in', [...new Set(old.map((one) => one.runId))])
      .executeTakeFirst();
    return Number(numDeletedRows);
  });
}
