/**
 * `Idempotency-Key`: a request that may be sent again after its answer was lost. The first one is performed and its answer
 * kept for a day; the same again gets the same answer, another one under the same key is refused. What failed because of
 * us (5xx) is not kept: then the key may be used again.
 */
import { createHash } from 'node:crypto';
import { HoldfastError } from '../base/errors.ts';
import type { Catalogue } from '../catalogue/open.ts';
import { RequestError } from './answers/problem.ts';

const keptMs = 24 * 3_600_000;
/** A request that was begun so long ago has died with its process. */
const abandonedMs = 15 * 60_000;

export interface Kept {
  readonly status: number;
  /** JSON; absent for an answer without a body. */
  readonly body?: string;
}

interface Ask {
  readonly catalogue: Catalogue;
  readonly nowMs: number;
  readonly actor: string;
  readonly key: string;
  /** Of what the request says: method, path and body. */
  readonly said: string;
}

export function requireKey(key: string): string {
  if (/^[\x21-\x7e]{1,200}$/.test(key)) return key;
  throw new RequestError(
    400,
    'the idempotency key is not understood',
    'Send 1 to 200 printable characters, like a UUID.',
  );
}

/** Performs once. `run` gives the answer, or throws; `request.conflict`. */
export async function once(ask: Ask, run: () => Promise<Kept>): Promise<Kept> {
  const hash = createHash('sha256').update(ask.said).digest('hex');
  const before = await begin(ask, hash);
  if (before) return before;
  let isKept = false;
  try {
    const answer = await run();
    isKept = answer.status < 500;
    if (isKept) await keep(ask, answer);
    return answer;
  } finally {
    if (!isKept) await own(ask.catalogue.db.deleteFrom('idempotency'), ask).execute();
  }
}

async function begin(ask: Ask, hash: string): Promise<Kept | undefined> {
  const { catalogue, nowMs, actor, key } = ask;
  const { db } = catalogue;
  await db
    .deleteFrom('idempotency')
    .where('createdAtMs', '<', nowMs - keptMs)
    .execute();
  await own(db.deleteFrom('idempotency'), ask)
    .where('status', 'is', null)
    .where('createdAtMs', '<', nowMs - abandonedMs)
    .execute();
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('idempotency')
    .values({ key, actor, requestHash: hash, status: null, response: null, createdAtMs: nowMs })
    .onConflict((conflict) => conflict.columns(['actor', 'key']).doNothing())
    .executeTakeFirst();
  if (numInsertedOrUpdatedRows === 1n) return undefined;
  const row = await own(db.selectFrom('idempotency').selectAll(), ask).executeTakeFirst();
  if (row?.requestHash !== undefined && row.requestHash !== hash) throw otherRequest(key);
  if (row === undefined || row.status === null) throw inProgress(key);
  return { status: row.status, ...(row.response === null ? {} : { body: row.response }) };
}

async function keep(ask: Ask, { status, body }: Kept): Promise<void> {
  await own(ask.catalogue.db.updateTable('idempotency'), ask)
    .set({ status, response: body ?? null })
    .execute();
}

/** The row of this key: keys of different callers do not meet. */
function own<Query extends { where(column: 'actor' | 'key', operator: '=', value: string): Query }>(
  query: Query,
  { actor, key }: Ask,
): Query {
  return query.where('actor', '=', actor).where('key', '=', key);
}

function otherRequest(key: string): HoldfastError {
  return new HoldfastError({
    code: 'request.conflict',
    message: `the idempotency key ${key} was used for another request`,
    remedy: 'Use a new key for a new request.',
  });
}

function inProgress(key: string): HoldfastError {
  return new HoldfastError({
    code: 'request.conflict',
    message: `the request with the idempotency key ${key} is being performed`,
    remedy: 'Ask again in a while: its answer is kept.',
    retry: 'later',
  });
}
