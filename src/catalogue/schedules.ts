/** How far each schedule was seen to: all that was due up to then was queued or reported. */
import type { Catalogue } from './open.ts';

/** By the key of the schedule, e.g. `backup/nightly/shop/nas`. */
export async function seenSchedules({ db }: Catalogue): Promise<Map<string, number>> {
  const rows = await db.selectFrom('schedule').selectAll().execute();
  return new Map(rows.map((row) => [row.key, row.seenToMs]));
}

/** Moves them forward, never back. Queue what is due first: what is queued twice exists once, what is skipped never. */
export async function markSeen({ db }: Catalogue, seen: ReadonlyMap<string, number>): Promise<void> {
  const rows = [...seen].map(([key, seenToMs]) => ({ key, seenToMs }));
  for (let at = 0; at < rows.length; at += 500) {
    await db
      .insertInto('schedule')
      .values(rows.slice(at, at + 500))
      .onConflict((conflict) =>
        conflict
          .column('key')
          .doUpdateSet((eb) => ({ seenToMs: eb.ref('excluded.seenToMs') }))
          .whereRef('schedule.seenToMs', '<', 'excluded.seenToMs'),
      )
      .execute();
  }
}

/** A schedule that is declared no more; declared again, it begins anew. */
export async function forgetSchedule({ db }: Catalogue, key: string): Promise<void> {
  await db.deleteFrom('schedule').where('key', '=', key).execute();
}
