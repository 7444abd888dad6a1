/** Several writes that become visible together, with what happened told to those who follow. */
import type { Transaction } from 'kysely';
import { sql } from 'kysely';
import { sortableId, timeOfSortableId } from '../base/sortable-id.ts';
import type { HoldfastEvent } from '../model/event.ts';
import { severityOf } from '../model/event.ts';
import type { Catalogue } from './open.ts';
import type { Tables } from './tables.ts';
import { wake } from './wake.ts';

export type NewHappening = Omit<HoldfastEvent, 'id' | 'atMs' | 'severity' | 'facts'> &
  Partial<Pick<HoldfastEvent, 'atMs' | 'severity' | 'facts'>>;

export interface CatalogueTransaction {
  readonly db: Transaction<Tables>;
  readonly kind: Catalogue['kind'];
  /** The catalogue's time when it began. */
  readonly nowMs: number;
  /**
   * Writes an event down, as the last thing the transaction does: from here to its end others wait who have events, too.
   * So an event with a greater id is never visible before one with a smaller id, and who follows by id misses none.
   */
  record(event: NewHappening): Promise<HoldfastEvent>;
}

/** Any number that no other program uses for its advisory locks in the same database. */
const happeningLock = 4_701_962_113_338_170;

/** Runs `work` in a transaction; it is undone if that throws. */
export async function inTransaction<Result>(
  catalogue: Catalogue,
  work: (transaction: CatalogueTransaction) => Promise<Result>,
): Promise<Result> {
  const nowMs = await catalogue.nowMs();
  let recorded = 0;
  const result = await catalogue.db.transaction().execute(async (db) => {
    const record = async (event: NewHappening): Promise<HoldfastEvent> => {
      if (recorded++ === 0 && catalogue.kind === 'postgres') {
        await sql`select pg_advisory_xact_lock(${happeningLock})`.execute(db);
      }
      return await insertHappening(db, event, nowMs);
    };
    return await work({ db, kind: catalogue.kind, nowMs, record });
  });
  if (recorded > 0) wake(catalogue, 'happenings');
  return result;
}

async function insertHappening(db: Transaction<Tables>, event: NewHappening, nowMs: number): Promise<HoldfastEvent> {
  const last = await db.selectFrom('happening').select('id').orderBy('id', 'desc').limit(1).executeTakeFirst();
  const { atMs = nowMs, severity = severityOf(event.type), facts = {}, ...rest } = event;
  const whole: HoldfastEvent = { ...rest, id: idAfter(last?.id, nowMs), atMs, severity, facts };
  await db
    .insertInto('happening')
    .values({
      id: whole.id,
      type: whole.type,
      severity,
      atMs,
      source: whole.source ?? null,
      repository: whole.repository ?? null,
      policy: whole.policy ?? null,
      run: whole.run ?? null,
      title: storable(whole.title),
      message: whole.message === undefined ? null : storable(whole.message),
      remedy: whole.remedy === undefined ? null : storable(whole.remedy),
      errorCode: whole.errorCode ?? null,
      facts: JSON.stringify(facts),
    })
    .execute();
  return whole;
}

/** Greater than the last one, also within a millisecond and after the clock stepped back. */
function idAfter(last: string | undefined, nowMs: number): string {
  const id = sortableId(nowMs);
  if (last === undefined || id > last) return id;
  return sortableId((timeOfSortableId(last) ?? nowMs) + 1);
}

/** PostgreSQL has no text with a zero byte or half a character. */
export function storable(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\ufffd');
}
