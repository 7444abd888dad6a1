/** The end of a run's log. */
import type { RunLogLine } from '../model/run-record.ts';
import type { Catalogue } from './open.ts';
import { eventOf } from './run-log.ts';

/** The last `limit` lines, oldest first. */
export async function readLogEnd(
  { db }: Catalogue,
  { id, limit }: { readonly id: string; readonly limit: number },
): Promise<RunLogLine[]> {
  const rows = await db
    .selectFrom('runLog')
    .selectAll()
    .where('runId', '=', id)
    .orderBy('seq', 'desc')
    .limit(limit)
    .execute();
  return rows.toReversed().map((row) => ({ ...row, event: eventOf(row.event) }));
}
