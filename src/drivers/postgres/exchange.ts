/** The last step of a restore: a database made under another name takes the place of the present one, or nothing changes. */
import { HoldfastError, messageOf } from '../../base/errors.ts';
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

const background = 'autovacuum worker';
/** Between two looks at who is connected. */
const lookMs = 50;

/**
 * Both databases get their names in one transaction, so that the present one is whole under its name until the new one has
 * it. Gives what a person has to do afterwards. Errors: `source.busy`, and those of the server; then nothing has changed.
 */
export async function exchange(source: Source, session: Session, wanted: Exchange): Promise<string[]> {
  const { name, making, aside, endsSessions, dropsAside } = wanted;
  if (aside !== undefined && !endsSessions) await refuseIfInUse(session, name);
  await using ending = await openSession(source, session.database);
  const rename = async (from: string, to: string, isFreed: boolean): Promise<void> => {
    const renaming = session.query(`ALTER DATABASE ${quoteName(from)} RENAME TO ${quoteName(to)}`);
    await (isFreed ? freed(source, ending, from, renaming) : renaming);
  };
  await session.query('BEGIN');
  try {
    if (aside !== undefined) await rename(name, aside, endsSessions);
    await rename(making, name, true);
    await session.query('COMMIT');
  } catch (error) {
    // The first failure is the reason; a connection that is gone has rolled back.
    await session.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
  return aside !== undefined && dropsAside ? await dropAside(source, session.database, name, aside) : [];
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

/** The server itself ends what cleans tables; only a superuser could. */
async function endSessions(session: Session, database: string): Promise<void> {
  await session.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid() AND backend_type <> '${background}'`,
    [database],
  );
}

/** `source.busy` if the database could not be kept aside now. */
export async function refuseIfInUse(session: Session, name: string): Promise<void> {
  const rows = await session.query(
    `SELECT coalesce(usename, backend_type) || coalesce(' (' || NULLIF(application_name, '') || ')', '') FROM pg_catalog.pg_stat_activity WHERE datname = $1 AND backend_type <> '${background}'`,
    [name],
  );
  if (rows.length === 0) return;
  throw new HoldfastError({
    code: 'source.busy',
    message: `the database ${name} cannot be kept aside, because ${rows.length} session(s) use it: ${[...new Set(rows.map(([who]) => who))].join(', ')}`,
    remedy:
      'Stop these programs first; or restore to another name; or use --overwrite, which ends the sessions and drops the database.',
    retry: 'later',
  });
}

/** `source.busy` if transactions wait there for the second phase of their commit: such a database can be neither renamed nor dropped. */
export async function refuseIfPrepared(session: Session, name: string): Promise<void> {
  const rows = await session.query('SELECT gid FROM pg_catalog.pg_prepared_xacts WHERE database = $1 ORDER BY 1', [
    name,
  ]);
  if (rows.length === 0) return;
  throw new HoldfastError({
    code: 'source.busy',
    message: `the database ${name} cannot be replaced, because it holds ${rows.length} prepared transaction(s): ${rows.map(([gid]) => gid).join(', ')}`,
    remedy: `End each of them in ${name} with COMMIT PREPARED or ROLLBACK PREPARED, or restore to another name.`,
    retry: 'later',
  });
}

/** A database that receives from a publisher cannot be dropped before a person decided what becomes of the publisher's slot. */
export async function subscriptionsOf(session: Session, name: string): Promise<string[]> {
  const rows = await session.query(
    'SELECT s.subname FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid WHERE d.datname = $1 ORDER BY 1',
    [name],
  );
  return rows.map(([one]) => one ?? '');
}

async function dropAside(source: Source, maintenance: string, name: string, aside: string): Promise<string[]> {
  try {
    await using own = await openUncancelled(source, maintenance);
    await drop(own, aside);
    return [];
  } catch (error) {
    return [
      `the restore of ${name} is complete, but the database that was there could not be dropped (${messageOf(error)}): it remains as ${aside}; drop it when nothing holds it any more`,
    ];
  }
}

/** What was made and is of no use: also after a cancellation, and on its own connection. */
export async function dropMade(source: Source, maintenance: string, making: string): Promise<void> {
  await using own = await openUncancelled(source, maintenance);
  const there = await own.value('SELECT count(*) FROM pg_catalog.pg_database WHERE datname = $1', [making]);
  if (there === '0') return;
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
