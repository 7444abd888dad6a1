/** What happened, in an order that holds: an event's id is greater than the ids of all that could be seen before it. */
import type { ExpressionBuilder, Selectable } from 'kysely';
import type { Clock } from '../base/clock.ts';
import type { EventType, HoldfastEvent, Severity } from '../model/event.ts';
import { isAmong } from './among.ts';
import type { Catalogue } from './open.ts';
import { firstIdOf } from './run-list.ts';
import { present } from './run-rows.ts';
import type { EventTable, Tables } from './tables.ts';
import { inTransaction, type NewHappening } from './transaction.ts';
import { listenFor } from './wake.ts';

export type { NewHappening } from './transaction.ts';

export interface HappeningFilter {
  readonly types?: readonly EventType[];
  readonly severities?: readonly Severity[];
  readonly source?: string;
  readonly repository?: string;
  readonly run?: string;
  readonly sinceMs?: number;
  readonly untilMs?: number;
  /** Only of what somebody may see; `general`: also what is about no source and no repository. */
  readonly visible?: {
    readonly sources: readonly string[];
    readonly repositories: readonly string[];
    readonly general: boolean;
  };
}

const readAtOnce = 200;
/** How long news of another process may take. */
const pollMs = 1000;

/** Writes one down that belongs to no other change; see `inTransaction` for those that do. */
export async function recordHappening(catalogue: Catalogue, event: NewHappening): Promise<HoldfastEvent> {
  return await inTransaction(catalogue, ({ record }) => record(event));
}

/** At most `limit`, newest first, after the one `cursor` names; `next` is absent after the last. */
export async function listHappenings(
  catalogue: Catalogue,
  filter: HappeningFilter,
  { cursor, limit }: { readonly cursor?: string; readonly limit: number },
): Promise<{ readonly events: readonly HoldfastEvent[]; readonly next?: string }> {
  const rows = await matching(catalogue, filter)
    .$if(cursor !== undefined, (q) => q.where('id', '<', cursor!))
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute();
  const events = rows.slice(0, limit).map(eventOf);
  return { events, ...(rows.length > limit ? { next: events[limit - 1].id } : {}) };
}

/** The id of the newest one, to follow from; `''` (before all) if there is none. */
export async function newestHappening({ db }: Catalogue): Promise<string> {
  const row = await db.selectFrom('happening').select('id').orderBy('id', 'desc').limit(1).executeTakeFirst();
  return row?.id ?? '';
}

/**
 * Everything that happened after the event of that id (`''`: from the first), oldest first, and everything to come, until
 * the signal is aborted (then it rejects with `cancelled`). Nothing is left out and nothing comes twice, also of what other
 * processes write: within a second. Memory: one page.
 */
export async function* followHappenings(
  catalogue: Catalogue,
  { afterId, filter = {} }: { readonly afterId: string; readonly filter?: HappeningFilter },
  { signal, clock }: { readonly signal: AbortSignal; readonly clock: Clock },
): AsyncIterable<HoldfastEvent> {
  using listening = listenFor(catalogue, 'happenings', clock);
  for (let seen = afterId; ; ) {
    signal.throwIfAborted();
    const rows = await matching(catalogue, filter).where('id', '>', seen).orderBy('id').limit(readAtOnce).execute();
    for (const row of rows) yield eventOf(row);
    seen = rows.at(-1)?.id ?? seen;
    if (rows.length < readAtOnce) await listening.wait(pollMs, signal);
  }
}

function matching({ db, kind }: Catalogue, filter: HappeningFilter) {
  const { types, severities, sinceMs, untilMs, visible, ...exact } = filter;
  let query = db.selectFrom('happening').selectAll();
  if (types) query = query.where('type', 'in', types.length > 0 ? types : ['']);
  if (severities) query = query.where('severity', 'in', severities.length > 0 ? severities : ['']);
  for (const column of ['source', 'repository', 'run'] as const) {
    if (exact[column] !== undefined) query = query.where(column, '=', exact[column]);
  }
  if (sinceMs !== undefined) query = query.where('id', '>=', firstIdOf(sinceMs));
  if (untilMs !== undefined) query = query.where('id', '<', firstIdOf(untilMs));
  return visible ? query.where((eb) => seenBy(eb, kind, visible)) : query;
}

function seenBy(
  { eb, ref, and, or }: ExpressionBuilder<Tables, 'happening'>,
  kind: Catalogue['kind'],
  { sources, repositories, general }: NonNullable<HappeningFilter['visible']>,
) {
  const theirs = isAmong(kind, ref('repository'), repositories);
  const ofNoSource = general ? or([theirs, eb('repository', 'is', null)]) : theirs;
  return or([isAmong(kind, ref('source'), sources), and([eb('source', 'is', null), ofNoSource])]);
}

function eventOf(row: Selectable<EventTable>): HoldfastEvent {
  const { id, type, severity, atMs, title, facts, ...rest } = row;
  return {
    id,
    type: type as EventType,
    severity: severity as Severity,
    atMs,
    title,
    ...present(rest),
    facts: JSON.parse(facts) as HoldfastEvent['facts'],
  };
}

/** Removes those from before an instant, with their deliveries, at most `batch`; gives how many. Until it is 0. */
export async function removeOldHappenings(catalogue: Catalogue, beforeMs: number, batch: number): Promise<number> {
  return await inTransaction(catalogue, async ({ db }) => {
    const old = await db
      .selectFrom('happening')
      .select('id')
      .where('id', '<', firstIdOf(beforeMs))
      .orderBy('id')
      .limit(batch)
      .execute();
    const ids = old.map((one) => one.id);
    if (ids.length === 0) return 0;
    await db.deleteFrom('delivery').where('eventId', 'in', ids).execute();
    await db.deleteFrom('happening').where('id', 'in', ids).execute();
    return ids.length;
  });
}
