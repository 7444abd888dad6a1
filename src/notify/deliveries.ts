/**
 * Events on their way through channels, as the catalogue keeps them.
 *
 *     waiting ──▶ sent      the other side took it
 *        │ ▲ └──▶ folded    it was told with another event of the same message, or was over before it was to be told
 *        │ └ tried again, later each time
 *        └──────▶ failed    it could not be delivered for a day, or its channel is gone
 */
import type { Selectable } from 'kysely';
import type { Catalogue, Database } from '../catalogue/open.ts';
import type { DeliveryTable, EventTable } from '../catalogue/tables.ts';
import type { EventType, HoldfastEvent, Severity } from '../model/event.ts';
import type { Telling } from './compose.ts';

export const deliveryStates = ['waiting', 'sent', 'folded', 'failed'] as const;
export type DeliveryState = (typeof deliveryStates)[number];

export interface Delivery {
  readonly channel: string;
  readonly state: DeliveryState;
  readonly attempts: number;
  readonly dueAtMs: number;
  readonly nextAtMs: number;
  readonly sentAtMs?: number;
  readonly lastError?: string;
  readonly telling: Telling;
}

export interface NewDelivery {
  readonly channel: string;
  readonly trouble: string | null;
  readonly dueAtMs: number;
  readonly telling: Telling;
}

/** One that exists already stays as it is. */
export async function insertDelivery(db: Database, { channel, trouble, dueAtMs, telling }: NewDelivery): Promise<void> {
  const { event, ...detail } = telling;
  await db
    .insertInto('delivery')
    .values({
      eventId: event.id,
      channel,
      state: 'waiting',
      trouble,
      detail: JSON.stringify(detail),
      attempts: 0,
      dueAtMs,
      nextAtMs: dueAtMs,
      sentAtMs: null,
      lastError: null,
    })
    .onConflict((conflict) => conflict.columns(['eventId', 'channel']).doNothing())
    .execute();
}

/** What waits to be told of troubles goes with another message, then; without a time it is not told any more. */
export async function moveWaiting(
  db: Database,
  { channel, troubles, dueAtMs }: { channel: string; troubles: readonly string[]; dueAtMs?: number },
): Promise<void> {
  if (troubles.length === 0) return;
  await db
    .updateTable('delivery')
    .set(dueAtMs === undefined ? { state: 'folded' } : { nextAtMs: dueAtMs })
    .where('channel', '=', channel)
    .where('state', '=', 'waiting')
    .where('attempts', '=', 0)
    .where('trouble', 'in', [...troubles])
    .execute();
}

/** When something of a channel is due next; `retried`: only of what failed before. */
export async function nextDueMs(
  { db }: Catalogue,
  channel: string,
  { retried }: { retried: boolean },
): Promise<number | undefined> {
  const row = await db
    .selectFrom('delivery')
    .select((eb) => eb.fn.min('nextAtMs').as('ms'))
    .where('channel', '=', channel)
    .where('state', '=', 'waiting')
    .$if(retried, (q) => q.where('attempts', '>', 0))
    .executeTakeFirst();
  return row?.ms ?? undefined;
}

/** How many for these channels should have been delivered by now and were not. */
export async function countUndelivered(catalogue: Catalogue, channels: readonly string[]): Promise<number> {
  if (channels.length === 0) return 0;
  const nowMs = await catalogue.nowMs();
  const row = await catalogue.db
    .selectFrom('delivery')
    .select((eb) => eb.fn.countAll().as('count'))
    .where('state', '=', 'waiting')
    .where('channel', 'in', [...channels])
    .where((eb) => eb.or([eb('attempts', '>', 0), eb('nextAtMs', '<=', nowMs)]))
    .executeTakeFirstOrThrow();
  return Number(row.count);
}

/** When something went through a channel last. */
export async function lastSentMs({ db }: Catalogue, channel: string): Promise<number | undefined> {
  const row = await db
    .selectFrom('delivery')
    .select((eb) => eb.fn.max('sentAtMs').as('ms'))
    .where('channel', '=', channel)
    .executeTakeFirst();
  return row?.ms ?? undefined;
}

/** They are told with others. */
export async function markFolded(
  db: Database,
  { channel, ids }: { channel: string; ids: readonly string[] },
): Promise<void> {
  if (ids.length === 0) return;
  await db
    .updateTable('delivery')
    .set({ state: 'folded' })
    .where('channel', '=', channel)
    .where('eventId', 'in', [...ids])
    .execute();
}

/** What is due by then, in the order it happened. */
export async function dueDeliveries(
  { db }: Catalogue,
  { channel, untilMs, limit }: { channel: string; untilMs: number; limit: number },
): Promise<Delivery[]> {
  const rows = await withEvents(db)
    .where('delivery.channel', '=', channel)
    .where('delivery.state', '=', 'waiting')
    .where('delivery.nextAtMs', '<=', untilMs)
    .orderBy('delivery.eventId')
    .limit(limit)
    .execute();
  return rows.map(deliveryOf);
}

/** The newest first. */
export async function listDeliveries(
  { db }: Catalogue,
  { channel, state, limit }: { channel?: string; state?: DeliveryState; limit: number },
): Promise<Delivery[]> {
  const rows = await withEvents(db)
    .$if(channel !== undefined, (q) => q.where('delivery.channel', '=', channel!))
    .$if(state !== undefined, (q) => q.where('delivery.state', '=', state!))
    .orderBy('delivery.eventId', 'desc')
    .orderBy('delivery.channel')
    .limit(limit)
    .execute();
  return rows.map(deliveryOf);
}

export async function markSent(
  db: Database,
  { channel, ids, nowMs }: { channel: string; ids: readonly string[]; nowMs: number },
): Promise<void> {
  if (ids.length === 0) return;
  await db
    .updateTable('delivery')
    .set((eb) => ({ state: 'sent', attempts: eb('attempts', '+', 1), sentAtMs: nowMs, lastError: null }))
    .where('channel', '=', channel)
    .where('eventId', 'in', [...ids])
    .execute();
}

export async function markFailure(
  db: Database,
  failure: { channel: string; ids: readonly string[]; nextAtMs: number; lastError: string; isFinal: boolean },
): Promise<void> {
  const { channel, ids, nextAtMs, lastError, isFinal } = failure;
  if (ids.length === 0) return;
  await db
    .updateTable('delivery')
    .set((eb) => ({
      state: isFinal ? 'failed' : 'waiting',
      attempts: eb('attempts', '+', 1),
      nextAtMs,
      lastError,
    }))
    .where('channel', '=', channel)
    .where('eventId', 'in', [...ids])
    .execute();
}

/** What waited for so long for channels that are not declared any more is not sent; nothing stands there. */
export async function dropOrphans(
  { db }: Catalogue,
  { channels, beforeMs }: { channels: readonly string[]; beforeMs: number },
): Promise<void> {
  const known = channels.length === 0 ? [''] : [...channels];
  await db.deleteFrom('standing').where('channel', 'not in', known).execute();
  await db
    .updateTable('delivery')
    .set({ state: 'failed', lastError: 'the channel is not declared any more' })
    .where('state', '=', 'waiting')
    .where('dueAtMs', '<', beforeMs)
    .where('channel', 'not in', known)
    .execute();
}

function withEvents(db: Database) {
  return db
    .selectFrom('delivery')
    .innerJoin('happening', 'happening.id', 'delivery.eventId')
    .selectAll('happening')
    .select([
      'delivery.channel',
      'delivery.state',
      'delivery.detail',
      'delivery.attempts',
      'delivery.dueAtMs',
      'delivery.nextAtMs',
      'delivery.sentAtMs',
      'delivery.lastError',
    ]);
}

type Row = Selectable<EventTable> & Omit<Selectable<DeliveryTable>, 'eventId' | 'trouble'>;

function deliveryOf(row: Row): Delivery {
  const { channel, state, detail, attempts, dueAtMs, nextAtMs, sentAtMs, lastError, ...event } = row;
  return {
    channel,
    state: state as DeliveryState,
    attempts,
    dueAtMs,
    nextAtMs,
    ...(sentAtMs === null ? {} : { sentAtMs }),
    ...(lastError === null ? {} : { lastError }),
    telling: { ...(JSON.parse(detail) as Omit<Telling, 'event'>), event: eventOf(event) },
  };
}

function eventOf({ facts, type, severity, ...rest }: Selectable<EventTable>): HoldfastEvent {
  const there = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== null));
  return {
    ...(there as Pick<HoldfastEvent, 'id' | 'atMs' | 'title'>),
    type: type as EventType,
    severity: severity as Severity,
    facts: JSON.parse(facts) as HoldfastEvent['facts'],
  };
}
