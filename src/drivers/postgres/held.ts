/**
 * One database held in one state. Every table is locked against being changed in shape, truncated or dropped (ACCESS SHARE,
 * which stops neither readers nor writers) before the snapshot is taken: TRUNCATE and rewriting ALTER TABLE do not respect
 * snapshots, and would otherwise show between the snapshot and pg_dump's own locks.
 *
 * Every session takes all its locks now. A TRUNCATE that comes in waits for the first session, and who asks for the table
 * after it waits for the TRUNCATE: a session that locked later would wait for ever, unseen by the server's deadlock detection,
 * because the first one waits outside the server. For the same reason a later lock (pg_dump's) may only be waited for briefly.
 */
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { lookForSelection, type Relation, type Selection } from './choice.ts';
import { lockConflict } from './failures.ts';
import type { Source } from './place.ts';
import { openSession, type Session } from './session.ts';
import { quoteName } from './sql-text.ts';

export interface Held extends AsyncDisposable {
  readonly database: string;
  readonly session: Session;
  /** What `SET TRANSACTION SNAPSHOT` and `pg_dump --snapshot` take. */
  readonly snapshot: string;
  readonly selection: Selection;
  /** Other connections that see exactly the same. */
  readonly others: readonly Session[];
  /** Throws if the snapshot did not stay held until now. */
  release(): Promise<void>;
}

export const lockAttempts = 20;
const tablesPerLock = 500;
/** How long to wait for a lock on a table that this backup has locked already: only who asked in between can be in the way. */
export const sharedLockTimeoutMs = 500;

/** `sessions` see the state, at least one. `source.busy` if a table stays locked, or tables come and go too quickly. */
export async function hold(source: Source, database: string, sessions: number): Promise<Held> {
  await using open = new AsyncDisposableStack();
  const session = open.use(await openSession(source, database));
  const others: Session[] = [];
  for (let i = 1; i < sessions; i++) others.push(open.use(await openSession(source, database)));
  for (let attempt = 1; ; attempt++) {
    const held = await tryHold(source, session, others, attempt === lockAttempts);
    if (!held) continue;
    const opened = open.move();
    return {
      ...{ database, session, others, ...held },
      release: async () => void (await session.query('COMMIT')),
      [Symbol.asyncDispose]: () => opened.disposeAsync(),
    };
  }
}

/** `undefined` if tables were made, dropped or asked for by others between listing and locking them. */
async function tryHold(
  source: Source,
  session: Session,
  others: readonly Session[],
  isLast: boolean,
): Promise<{ snapshot: string; selection: Selection } | undefined> {
  const { settings } = source;
  const before = (await lookForSelection(session, settings)).relations.filter(isLockable);
  let passing = /does not exist/;
  try {
    await begin(session, settings.lockTimeoutMs);
    await lock(session, before);
    passing = lockConflict;
    const snapshot = await session.value('SELECT pg_export_snapshot()');
    const selection = await lookForSelection(session, settings);
    for (const other of others) {
      await begin(other, sharedLockTimeoutMs);
      await other.query(`SET TRANSACTION SNAPSHOT '${snapshot}'`);
      await lock(other, before);
    }
    const locked = new Set(before.map(({ oid }) => oid));
    if (selection.relations.filter(isLockable).every(({ oid }) => locked.has(oid))) return { snapshot, selection };
    if (isLast) throw madeTooFast(session.database);
  } catch (error) {
    if (isLast || !passing.test(messageOf(error))) throw error;
  }
  for (const one of [...others, session]) await one.query('ROLLBACK');
  return undefined;
}

async function begin(session: Session, lockTimeoutMs: number): Promise<void> {
  await session.query(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = ${lockTimeoutMs}`);
}

async function lock(session: Session, tables: readonly Relation[]): Promise<void> {
  for (let at = 0; at < tables.length; at += tablesPerLock) {
    const names = tables.slice(at, at + tablesPerLock).map((one) => `${quoteName(one.schema)}.${quoteName(one.name)}`);
    await session.query(`LOCK TABLE ONLY ${names.join(', ONLY ')} IN ACCESS SHARE MODE`);
  }
}
function madeTooFast(database: string): HoldfastError {
  return new HoldfastError({
    code: 'source.busy',
    message: `tables of ${database} are made faster than they can be locked`,
    remedy: 'Try again at a quieter time, or leave their schema out with «excludeSchemas».',
    retry: 'later',
  });
}

function isLockable({ kind }: Relation): boolean {
  return kind === 'r' || kind === 'p';
}
