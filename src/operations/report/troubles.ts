/** What did not go well within a period, and whether it was made good since. */
import { formatInstant } from '../../base/clock.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { firstIdOf } from '../../catalogue/run-list.ts';
import { recordOf } from '../../catalogue/run-rows.ts';
import type { RunRecord } from '../../model/run-record.ts';

/** What is beyond is only counted. */
export const mostTroubles = 200;

export interface Trouble {
  readonly run: string;
  readonly kind: string;
  readonly state: string;
  readonly source?: string;
  readonly repository?: string;
  /** When it was due, or asked for. */
  readonly time: string;
  readonly message: string;
  /** When the same was done well for the first time afterwards. */
  readonly madeGood?: string;
}

/** Runs that failed or were missed, oldest first; a failure that a retry made good within its own attempts counts, too. */
export async function troublesOf(
  catalogue: Catalogue,
  { sinceMs, untilMs, lateMs }: { readonly sinceMs: number; readonly untilMs: number; readonly lateMs: number },
): Promise<{ troubles: Trouble[]; more: number }> {
  const dueWithin = catalogue.db
    .selectFrom('run')
    .where('id', '>=', firstIdOf(sinceMs))
    .where('id', '<', firstIdOf(untilMs + lateMs))
    .where('state', 'in', ['failed', 'missed'])
    .where(({ eb, fn }) => eb(fn.coalesce('slotMs', 'queuedAtMs'), '>=', sinceMs))
    .where(({ eb, fn }) => eb(fn.coalesce('slotMs', 'queuedAtMs'), '<', untilMs));
  const [{ count }, rows] = await Promise.all([
    dueWithin.select(({ fn }) => fn.countAll<number>().as('count')).executeTakeFirstOrThrow(),
    dueWithin.selectAll().orderBy('id').limit(mostTroubles).execute(),
  ]);
  const troubles: Trouble[] = [];
  for (const row of rows) troubles.push(await troubleOf(catalogue, recordOf(row)));
  troubles.sort((a, b) => a.time.localeCompare(b.time) || (a.source ?? '').localeCompare(b.source ?? ''));
  return { troubles, more: Number(count) - troubles.length };
}

async function troubleOf(catalogue: Catalogue, run: RunRecord): Promise<Trouble> {
  const { id, kind, state, source, repository, error } = run;
  const goodMs = await nextSuccess(catalogue, run);
  return {
    ...{ run: id, kind, state, time: formatInstant(run.slotMs ?? run.queuedAtMs) },
    ...(source === undefined ? {} : { source }),
    ...(repository === undefined ? {} : { repository }),
    message: error?.message ?? state,
    ...(goodMs === undefined ? {} : { madeGood: formatInstant(goodMs) }),
  };
}

async function nextSuccess({ db }: Catalogue, run: RunRecord): Promise<number | undefined> {
  const { source, repository } = run;
  if (source === undefined && repository === undefined) return undefined;
  // One that was found missed is younger than what was done instead.
  const sinceMs = run.state === 'missed' ? (run.slotMs ?? run.queuedAtMs) : (run.endedAtMs ?? run.queuedAtMs);
  const row = await db
    .selectFrom('run')
    .select('endedAtMs')
    .where('queuedAtMs', '>=', Math.min(sinceMs, run.queuedAtMs))
    .where('endedAtMs', '>', sinceMs)
    .where('kind', '=', run.kind)
    .where('state', '=', 'succeeded')
    .$if(source !== undefined, (query) => query.where('source', '=', source!))
    .$if(source === undefined, (query) => query.where('repository', '=', repository!))
    // What is proven in one repository says nothing of another.
    .$if(run.kind === 'drill' && repository !== undefined, (query) => query.where('repository', '=', repository!))
    .orderBy('queuedAtMs')
    .limit(1)
    .executeTakeFirst();
  return row?.endedAtMs ?? undefined;
}
