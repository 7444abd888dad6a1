/** What was run: pages, counts, and what waits. Ids sort by time, so the newest are the greatest and a cursor is an id. */
import { sortableId } from '../base/sortable-id.ts';
import { type RunRecord, type RunState, runStates } from '../model/run-record.ts';
import type { Catalogue } from './open.ts';
import { type ListedRow, listedColumns, recordOf } from './run-rows.ts';
import { type RunChoice, type RunQuery, waysTo } from './run-ways.ts';
import { inTransaction } from './transaction.ts';

export interface RunFilter extends RunChoice {
  /** By when they were queued: from this instant, and before that one. */
  readonly sinceMs?: number;
  readonly untilMs?: number;
}

export interface RunPage {
  /** Newest first; without what the operations gave. */
  readonly runs: readonly RunRecord[];
  /** Give it to get what follows; absent after the last. */
  readonly next?: string;
}

/** The run of that id, or the only one whose id begins so (10 letters or more say when it was queued). With its result. */
export async function findRun({ db }: Catalogue, wanted: string): Promise<RunRecord | undefined> {
  const beginning = wanted.toUpperCase();
  const rows = await db
    .selectFrom('run')
    .selectAll()
    .where('id', '>=', beginning)
    .where('id', '<=', beginning.padEnd(26, 'Z'))
    .limit(2)
    .execute();
  return rows.length === 1 ? recordOf(rows[0]) : undefined;
}

/** At most `limit` of them, after the one that `cursor` names. */
export async function listRuns(
  catalogue: Catalogue,
  filter: RunFilter,
  { cursor, limit }: { readonly cursor?: string; readonly limit: number },
): Promise<RunPage> {
  const until = filter.untilMs === undefined ? undefined : firstIdOf(filter.untilMs);
  const before = cursor !== undefined && (until === undefined || cursor < until) ? cursor : until;
  const { sinceMs } = filter;
  const inTime = (query: RunQuery): RunQuery =>
    query
      .$if(sinceMs !== undefined, (q) => q.where('id', '>=', firstIdOf(sinceMs!)))
      .$if(before !== undefined, (q) => q.where('id', '<', before!));
  const ways = waysTo(filter, catalogue.kind).map((way) => (query: RunQuery) => way(inTime(query)));
  const rows = await rowsOf(catalogue, ways, limit + 1);
  const runs = rows.slice(0, limit).map(recordOf);
  return { runs, ...(rows.length > limit ? { next: runs[limit - 1].id } : {}) };
}

/** The newest of what all the ways give. */
async function rowsOf(
  { db }: Catalogue,
  ways: readonly ((query: RunQuery) => RunQuery)[],
  limit: number,
): Promise<ListedRow[]> {
  const newest = (way: (query: RunQuery) => RunQuery) => way(db.selectFrom('run')).orderBy('id', 'desc').limit(limit);
  if (ways.length === 0) return [];
  if (ways.length === 1) return await newest(ways[0]).select(listedColumns).execute();
  const [first, ...others] = ways.map((way, i) => db.selectFrom(newest(way).select('id').as(`part${i}`)).select('id'));
  const all = others.reduce((union, part) => union.unionAll(part), first);
  const ids = db.selectFrom(all.as('parts')).select('id').orderBy('id', 'desc').limit(limit);
  return await db
    .selectFrom('run')
    .select(listedColumns)
    .where('id', 'in', db.selectFrom(ids.as('found')).select('id'))
    .orderBy('id', 'desc')
    .execute();
}

/** Not greater than any id made at that instant or later. */
export function firstIdOf(atMs: number): string {
  return `${sortableId(Math.max(0, atMs)).slice(0, 10)}${'0'.repeat(16)}`;
}

/** How many there are by state, of those queued since an instant; of all that are kept without one. */
export async function countRuns(
  { db }: Catalogue,
  { sinceMs }: { readonly sinceMs?: number } = {},
): Promise<Record<RunState, number>> {
  const rows = await db
    .selectFrom('run')
    .select((eb) => ['state', eb.fn.countAll<number>().as('count')])
    .$if(sinceMs !== undefined, (q) => q.where('id', '>=', firstIdOf(sinceMs!)))
    .groupBy('state')
    .execute();
  const counts = new Map(rows.map((row) => [row.state, Number(row.count)]));
  return Object.fromEntries(runStates.map((state) => [state, counts.get(state) ?? 0])) as Record<RunState, number>;
}

/** Queued ones that may start by now, first those that may for longest; at most `limit`, after `after`. */
export async function startableRuns(
  catalogue: Catalogue,
  { limit, after }: { readonly limit: number; readonly after?: Pick<RunRecord, 'notBeforeMs' | 'id'> },
): Promise<RunRecord[]> {
  const nowMs = await catalogue.nowMs();
  const rows = await catalogue.db
    .selectFrom('run')
    .select(listedColumns)
    .where('state', '=', 'queued')
    .where('notBeforeMs', '<=', nowMs)
    .$if(after !== undefined, (q) =>
      q.where((eb) => eb(eb.refTuple('notBeforeMs', 'id'), '>', eb.tuple(after!.notBeforeMs, after!.id))),
    )
    .orderBy('notBeforeMs')
    .orderBy('id')
    .limit(limit)
    .execute();
  return rows.map(recordOf);
}

/** When the next queued run may start that may not yet; `undefined` if there is none. */
export async function nextStartMs(catalogue: Catalogue): Promise<number | undefined> {
  const nowMs = await catalogue.nowMs();
  const row = await catalogue.db
    .selectFrom('run')
    .select('notBeforeMs')
    .where('state', '=', 'queued')
    .where('notBeforeMs', '>', nowMs)
    .orderBy('notBeforeMs')
    .limit(1)
    .executeTakeFirst();
  return row?.notBeforeMs;
}

/** All that are being executed, with who holds them. */
export async function runningRuns({ db }: Catalogue): Promise<(RunRecord & { fence: number; leaseUntilMs: number })[]> {
  const rows = await db
    .selectFrom('run')
    .select([...listedColumns, 'fence', 'leaseUntilMs'])
    .where('state', '=', 'running')
    .orderBy('id')
    .execute();
  return rows.map((row) => ({ ...recordOf(row), fence: row.fence, leaseUntilMs: row.leaseUntilMs ?? 0 }));
}

/** Removes ended runs that were queued before an instant, with their logs, at most `batch`; gives how many. Until it is 0. */
export async function removeOldRuns(catalogue: Catalogue, beforeMs: number, batch: number): Promise<number> {
  return await inTransaction(catalogue, async ({ db }) => {
    const old = await db
      .selectFrom('run')
      .select('id')
      .where('id', '<', firstIdOf(beforeMs))
      .where('state', 'not in', ['queued', 'running'])
      .orderBy('id')
      .limit(batch)
      .execute();
    const ids = old.map((one) => one.id);
    if (ids.length === 0) return 0;
    await db.deleteFrom('runLog').where('runId', 'in', ids).execute();
    await db.deleteFrom('run').where('id', 'in', ids).execute();
    return ids.length;
  });
}
