/** How repositories grow. */
import { sql } from 'kysely';
import type { Catalogue } from '../open.ts';
import { present } from '../run-rows.ts';

export interface RepositorySize {
  readonly repository: string;
  readonly atMs: number;
  /** Of all files of the repository. */
  readonly storedBytes: number;
  /** Of all snapshots before compression and deduplication, as far as they say. */
  readonly restoredBytes?: number;
  readonly snapshots: number;
}

const dayMs = 86_400_000;

export async function recordSize({ db }: Catalogue, size: RepositorySize): Promise<void> {
  const { repository, atMs, storedBytes, restoredBytes = null, snapshots } = size;
  await db
    .insertInto('repositorySize')
    .values({ repository, atMs, storedBytes, restoredBytes, snapshots })
    .onConflict((conflict) => conflict.columns(['repository', 'atMs']).doNothing())
    .execute();
}

/** The last look at it; `undefined` if there was none. */
export async function newestSize({ db }: Catalogue, repository: string): Promise<RepositorySize | undefined> {
  const row = await db
    .selectFrom('repositorySize')
    .selectAll()
    .where('repository', '=', repository)
    .orderBy('atMs', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row && sizeOf(row);
}

/** The last look of each day (UTC) since an instant, oldest first. */
export async function growthByDay(
  { db }: Catalogue,
  { repository, sinceMs }: { readonly repository: string; readonly sinceMs: number },
): Promise<RepositorySize[]> {
  const lastOfDay = db
    .selectFrom('repositorySize')
    .select((eb) => eb.fn.max('atMs').as('lastMs'))
    .where('repository', '=', repository)
    .where('atMs', '>=', sinceMs)
    .groupBy(sql`at_ms / ${sql.lit(dayMs)}`);
  const rows = await db
    .selectFrom('repositorySize')
    .selectAll()
    .where('repository', '=', repository)
    .where('atMs', 'in', lastOfDay)
    .orderBy('atMs')
    .execute();
  return rows.map(sizeOf);
}

export async function removeOldSizes({ db }: Catalogue, beforeMs: number): Promise<void> {
  await db.deleteFrom('repositorySize').where('atMs', '<', beforeMs).execute();
}

function sizeOf(row: {
  repository: string;
  atMs: number;
  storedBytes: number;
  restoredBytes: number | null;
  snapshots: number;
}): RepositorySize {
  const { restoredBytes, ...rest } = row;
  return { ...rest, ...present({ restoredBytes }) };
}
