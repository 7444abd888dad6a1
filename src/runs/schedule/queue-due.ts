/** Turns what is due into queued and missed runs, each once by its slot; marks and runs change together. */
import { formatInstant } from '../../base/clock.ts';
import { errorColumns, recordOf, rowOf } from '../../catalogue/run-rows.ts';
import { type DueRun, missedError, missedHappening } from '../../catalogue/runs.ts';
import type { CatalogueTransaction } from '../../catalogue/transaction.ts';
import { type DueSlot, decideDue } from '../../policy/due.ts';
import type { Schedule } from '../../policy/run-plan.ts';

/** Rows a statement takes: bounded by the parameters of SQLite. */
const rowsAtOnce = 400;

export interface QueuedDue {
  readonly queued: number;
  readonly missed: number;
}

/** As part of a transaction of the leader. Schedules that are declared no more lose their marks: declared again, they begin anew. */
export async function queueDue(transaction: CatalogueTransaction, schedules: readonly Schedule[]): Promise<QueuedDue> {
  const { db, nowMs } = transaction;
  const rows = await db.selectFrom('schedule').selectAll().execute();
  const seen = new Map(rows.map((row) => [row.key, row.seenToMs]));
  const { slots, marks } = decideDue(schedules, seen, nowMs);
  const declared = new Set(schedules.map((one) => one.key));
  const gone = [...seen.keys()].filter((key) => key.includes('/') && !declared.has(key));
  for (let at = 0; at < gone.length; at += rowsAtOnce) {
    await db
      .deleteFrom('schedule')
      .where('key', 'in', gone.slice(at, at + rowsAtOnce))
      .execute();
  }
  await writeMarks(transaction, marks);
  // Events come last in a transaction.
  const queued = await insertQueued(
    transaction,
    slots.filter((one) => one.outcome !== 'missed'),
  );
  const missed = await insertMissed(
    transaction,
    slots.filter((one) => one.outcome === 'missed'),
  );
  return { queued, missed };
}

/** Back, too: a mark from a clock that was wrong is set right. */
async function writeMarks({ db }: CatalogueTransaction, marks: ReadonlyMap<string, number>): Promise<void> {
  const rows = [...marks].map(([key, seenToMs]) => ({ key, seenToMs }));
  for (let at = 0; at < rows.length; at += rowsAtOnce) {
    await db
      .insertInto('schedule')
      .values(rows.slice(at, at + rowsAtOnce))
      .onConflict((conflict) => conflict.column('key').doUpdateSet((eb) => ({ seenToMs: eb.ref('excluded.seenToMs') })))
      .execute();
  }
}

async function insertQueued({ db, nowMs }: CatalogueTransaction, slots: readonly DueSlot[]): Promise<number> {
  // Of fewer columns than a run has, and yet more than a hundred rows are too much for one statement.
  const atOnce = 25;
  for (let at = 0; at < slots.length; at += atOnce) {
    await db
      .insertInto('run')
      .values(slots.slice(at, at + atOnce).map((slot) => rowOf(dueRun(slot), 'queued', nowMs)))
      .onConflict((conflict) => conflict.column('slotKey').doNothing())
      .execute();
  }
  return slots.length;
}

async function insertMissed(transaction: CatalogueTransaction, slots: readonly DueSlot[]): Promise<number> {
  const { db, nowMs, record } = transaction;
  for (const slot of slots) {
    const reason = slot.reason ?? 'nothing ran when it was due';
    const row = await db
      .insertInto('run')
      .values({ ...rowOf(dueRun(slot), 'missed', nowMs), ...errorColumns(missedError(reason)) })
      .onConflict((conflict) => conflict.column('slotKey').doNothing())
      .returningAll()
      .executeTakeFirst();
    if (row) await record(missedHappening(recordOf(row), reason));
  }
  return slots.length;
}

function dueRun({ schedule, slotMs, outcome, notBeforeMs }: DueSlot): DueRun {
  const { kind, source, repository, host, policy, input, key } = schedule;
  const inTime = schedule.follows ? 'after' : 'schedule';
  return {
    ...{ kind, source, repository, host, policy, input, slotMs, notBeforeMs },
    trigger: outcome === 'catch-up' ? 'catch-up' : inTime,
    askedBy: 'schedule',
    slotKey: `${key}@${formatInstant(slotMs)}`,
  };
}
