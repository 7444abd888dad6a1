/** What stands in the way of a database getting another name, or of being dropped. */
import { HoldfastError } from '../../base/errors.ts';
import type { Session } from './session.ts';

/** The server itself ends what cleans tables; only a superuser could. */
export const background = 'autovacuum worker';

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

/** What others read its changes from; DROP DATABASE takes those along that nobody reads from at that moment. */
async function slotsOf(session: Session, name: string): Promise<string[]> {
  const rows = await session.query(
    'SELECT slot_name FROM pg_catalog.pg_replication_slots WHERE database = $1 AND NOT temporary ORDER BY 1',
    [name],
  );
  return rows.map(([one]) => one ?? '');
}

/** Why the database `now` is called is not to be dropped, and what a person does about it; `kept` is its name after the exchange. Empty: it may go. */
export async function reasonsToKeep(session: Session, now: string, name: string, kept: string): Promise<string[]> {
  const subscriptions = await subscriptionsOf(session, now);
  const slots = await slotsOf(session, now);
  const reasons: string[] = [];
  if (subscriptions.length > 0)
    reasons.push(
      `the present database ${name} cannot be dropped with its subscription(s) ${subscriptions.join(', ')}: it is kept as ${kept}, where DROP SUBSCRIPTION ends them, or ALTER SUBSCRIPTION … SET (slot_name = NONE) first, if the restored one goes on with the publisher’s slot`,
    );
  if (slots.length > 0)
    reasons.push(
      `the present database ${name} is not dropped with its logical replication slot(s) ${slots.join(', ')}: it is kept as ${kept}, and the restored one has no slots; who reads changes needs a new one there and a new copy, then pg_drop_replication_slot ends the old ones, which keep WAL until that`,
    );
  return reasons;
}
