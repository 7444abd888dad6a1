/** How far copies in one repository are behind those in another. */
import type { Catalogue } from '../open.ts';

/** By source: how many snapshots in `from` are newer than all of the source in `to`. Sources without any are left out. */
export async function copiesBehind(
  { db }: Catalogue,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<ReadonlyMap<string, number>> {
  const rows = await db
    .selectFrom('sourceState as first')
    .leftJoin('sourceState as copy', (join) =>
      join.onRef('copy.source', '=', 'first.source').on('copy.repository', '=', to),
    )
    .innerJoin('snapshot', (join) =>
      join.onRef('snapshot.source', '=', 'first.source').onRef('snapshot.repository', '=', 'first.repository'),
    )
    .select((eb) => ['first.source', eb.fn.countAll<number>().as('count')])
    .where('first.repository', '=', from)
    .whereRef('first.newestMs', '>', (eb) => eb.fn.coalesce('copy.newestMs', eb.val(Number.MIN_SAFE_INTEGER)))
    .whereRef('snapshot.timeMs', '>', (eb) => eb.fn.coalesce('copy.newestMs', eb.val(Number.MIN_SAFE_INTEGER)))
    .groupBy('first.source')
    .execute();
  return new Map(rows.map((row) => [row.source, Number(row.count)]));
}
