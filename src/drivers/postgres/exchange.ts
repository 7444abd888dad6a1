/** The last step of a restore: a database made under another name takes the place of the present one, or nothing changes. */
import type { Clock } from '../../base/clock.ts';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { background, reasonsToKeep, refuseIfInUse, subscriptionsOf } from './obstacles.ts';
import type { Source } from './place.ts';
import { openSession, type Session } from './session.ts';
import { quoteName } from './sql-text.ts';

export interface Exchange {
  readonly name: string;
  /** Where it was made. */
  readonly making: string;
  /** What the present database of that name becomes; absent if there is none. */
  readonly aside?: string;
  /** Its sessions are ended; otherwise they are a reason to stop. */
  readonly endsSessions: boolean;
  /** Afterwards. */
  readonly dropsAside: boolean;
}

/** A connection as the server knows it, for when it is lost. */
export interface Backend {
  readonly pid: string;
  readonly startedAt: string;
}

/** Between two looks at who is connected. */
const lookMs = 50;
/** A backend that is told to end takes its transaction back first. */
const endsWithinMs = 30_000;
/** While a server starts again, it is asked again after these times. */
const waitsMs = [1000, 2000, 4000, 8000];

/**
 * Both databases get their names in one transaction, so that the present one is whole under its name until the new one has
 * it. Errors: `source.busy`, and those of the server. Of one about the connection only `undo` knows what it means.
 */
export async function exchange(source: Source, session: Session, wanted: Exchange): Promise<void> {
  const { name, making, aside, endsSessions } = wanted;
  if (aside !== undefined && !endsSessions) await refuseIfInUse(session, name);
  await using ending = await openSession(source, session.database);
  const rename = async (from: string, to: string, isFreed: boolean): Promise<void> => {
    const renaming = session.query(`ALTER DATABASE ${quoteName(from)} RENAME TO ${quoteName(to)}`);
    await (isFreed ? freed(source, ending, from, renaming) : renaming);
  };
  await session.query('BEGIN');
  if (aside !== undefined) await rename(name, aside, endsSessions);
  await rename(making, name, true);
  await session.query('COMMIT');
}

/** RENAME lets nobody in while it waits, 5 seconds at most, for those who are there: who is ended now does not come back before. */
async function freed(source: Source, ending: Session, database: string, renaming: Promise<unknown>): Promise<void> {
  let isWaiting = true;
  const renamed = renaming.finally(() => {
    isWaiting = false;
  });
  const refusal = endWhile(source, ending, database, () => isWaiting);
  try {
    await renamed;
  } catch (error) {
    throw (await refusal) ?? error;
  } finally {
    await refusal;
  }
}

/** Why sessions could not be ended; that matters only if the renaming fails. */
async function endWhile(
  { clock, signal }: Source,
  session: Session,
  database: string,
  isWaiting: () => boolean,
): Promise<unknown> {
  try {
    while (isWaiting()) {
      await endSessions(session, database);
      await clock.sleep(lookMs, { signal });
    }
    return undefined;
  } catch (error) {
    return error;
  }
}

async function endSessions(session: Session, database: string): Promise<void> {
  await session.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid() AND backend_type <> '${background}'`,
    [database],
  );
}

/** What the database that was there is called afterwards, if it is still there, and what a person has to do about it. */
export interface Ended {
  readonly kept?: string;
  readonly problems: readonly string[];
}

/** After the exchange. Never fails: the restore is complete. */
export async function end(source: Source, maintenance: string, wanted: Exchange): Promise<Ended> {
  const { name, aside, dropsAside } = wanted;
  if (aside === undefined) return { problems: [] };
  if (!dropsAside) return { kept: aside, problems: [] };
  try {
    await using own = await openUncancelled(source, maintenance);
    // Some may have come while the new one was filled.
    const reasons = await reasonsToKeep(own, aside, name, aside);
    if (reasons.length > 0) return { kept: aside, problems: reasons };
    await drop(own, aside);
    return { problems: [] };
  } catch (error) {
    const problem = `the restore of ${name} is complete, but the database that was there could not be dropped (${messageOf(error)}): it remains as ${aside}; drop it when nothing holds it any more`;
    return { kept: aside, problems: [problem] };
  }
}

export async function backendOf(session: Session): Promise<Backend> {
  const [[pid, startedAt] = []] = await session.query(
    'SELECT pid, backend_start FROM pg_catalog.pg_stat_activity WHERE pid = pg_backend_pid()',
  );
  return { pid: pid ?? '', startedAt: startedAt ?? '' };
}

export interface Failed {
  readonly wanted: Exchange;
  /** Of the session that failed; nobody else uses it any more. */
  readonly backend: Backend;
  /** Of the database that was made, if that is known. */
  readonly oid: string | undefined;
}

/**
 * After a failure, also after a cancellation, and over a connection of its own. Whether the databases have their new names is
 * read from the server, once the old connection has ended there: of a COMMIT whose answer was lost nobody knows whether it
 * was done. `exchanged`: it was, and nothing is undone; `removed`: nothing has changed, and what was made is gone.
 */
export async function undo(source: Source, maintenance: string, failed: Failed): Promise<'exchanged' | 'removed'> {
  for (const waitMs of [...waitsMs, undefined]) {
    try {
      return await tryUndo(source, maintenance, failed);
    } catch (error) {
      const isPassing = error instanceof HoldfastError && error.retry !== 'never';
      if (!isPassing || waitMs === undefined) throw error;
      await source.clock.sleep(waitMs);
    }
  }
  return 'removed';
}

async function tryUndo(
  source: Source,
  maintenance: string,
  { wanted, backend, oid }: Failed,
): Promise<'exchanged' | 'removed'> {
  await using own = await openUncancelled(source, maintenance);
  await endBackend(own, source.clock, backend);
  if (oid !== undefined) {
    const now = await own.value('SELECT datname FROM pg_catalog.pg_database WHERE oid = $1', [oid]);
    if (now === wanted.name) return 'exchanged';
  }
  await dropMade(source, own, wanted.making);
  return 'removed';
}

/** One that does not know yet that its connection is lost still holds locks, and may still commit. */
async function endBackend(own: Session, clock: Clock, { pid, startedAt }: Backend): Promise<void> {
  for (let waitedMs = 0; waitedMs < endsWithinMs; waitedMs += lookMs) {
    const ended = await own.value(
      'SELECT count(pg_terminate_backend(pid)) FROM pg_catalog.pg_stat_activity WHERE pid = $1 AND backend_start = $2',
      [pid, startedAt],
    );
    if (ended === '0') return;
    await clock.sleep(lookMs);
  }
  throw new HoldfastError({
    code: 'source.busy',
    message: `the session ${pid} of the restore does not end`,
    remedy: 'Look at it in pg_stat_activity and at the log of the server.',
  });
}

/** What was made and is of no use. */
async function dropMade(source: Source, own: Session, making: string): Promise<void> {
  const there = await own.value('SELECT count(*) FROM pg_catalog.pg_database WHERE datname = $1', [making]);
  if (there === '0') return;
  await own.query(`ALTER DATABASE ${quoteName(making)} IS_TEMPLATE false`);
  const subscriptions = await subscriptionsOf(own, making);
  if (subscriptions.length > 0) await dropSubscriptions(source, making, subscriptions);
  await drop(own, making);
}

/** Restored ones were never connected: the publisher's slot belongs to the original, and stays. */
async function dropSubscriptions(source: Source, database: string, names: readonly string[]): Promise<void> {
  await using own = await openUncancelled(source, database);
  for (const one of names.map(quoteName)) {
    await own.query(`ALTER SUBSCRIPTION ${one} DISABLE`);
    await own.query(`ALTER SUBSCRIPTION ${one} SET (slot_name = NONE)`);
    await own.query(`DROP SUBSCRIPTION ${one}`);
  }
}

/** One that cannot be dropped can be used again. */
async function drop(session: Session, name: string): Promise<void> {
  await session.query(`ALTER DATABASE ${quoteName(name)} WITH ALLOW_CONNECTIONS false`);
  try {
    await endSessions(session, name);
    await session.query(`DROP DATABASE ${quoteName(name)}`);
  } catch (error) {
    // The first failure is the reason.
    await session.query(`ALTER DATABASE ${quoteName(name)} WITH ALLOW_CONNECTIONS true`).catch(() => undefined);
    throw error;
  }
}

async function openUncancelled(source: Source, database: string): Promise<Session> {
  return await openSession({ ...source, signal: new AbortController().signal }, database);
}
