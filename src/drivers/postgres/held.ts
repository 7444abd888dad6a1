/**
 * One database held in one state. Every table is locked against being changed in shape, truncated or dropped (ACCESS SHARE,
 * which stops neither readers nor writers) before the snapshot is taken: TRUNCATE and rewriting ALTER TABLE do not respect
 * snapshots, and would otherwise show between the snapshot and pg_dump's own locks.
 */
import { cancelled, HoldfastError, messageOf } from '../../base/errors.ts';
import { listRelations, type Relation, type Selection, select } from './choice.ts';
import type { Source } from './place.ts';
import { openSession, type Session } from './session.ts';
import { quoteName } from './sql-text.ts';

export interface Held extends AsyncDisposable {
  readonly database: string;
  readonly session: Session;
  /** What `SET TRANSACTION SNAPSHOT` and `pg_dump --snapshot` take. */
  readonly snapshot: string;
  readonly selection: Selection;
  /** Another connection that sees exactly the same. */
  share(): Promise<Session>;
  /** Throws if the snapshot did not stay held until now. */
  release(): Promise<void>;
}

const attempts = 5;
const tablesPerLock = 500;

/** `source.busy` if a table stays locked, or tables come and go too quickly. */
export async function hold(source: Source, database: string): Promise<Held> {
  const session = await openSession(source, database);
  try {
    for (let attempt = 1; ; attempt++) {
      const held = await tryHold(source, session, attempt === attempts);
      if (held) return present(source, database, session, held);
    }
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
}

/** `undefined` if tables were made or dropped between listing and locking them. */
async function tryHold(
  source: Source,
  session: Session,
  isLast: boolean,
): Promise<{ snapshot: string; selection: Selection } | undefined> {
  const { settings } = source;
  const before = select(await listRelations(session), settings).relations.filter(isLockable);
  await session.query(
    `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = ${settings.lockTimeoutMs}`,
  );
  try {
    for (let at = 0; at < before.length; at += tablesPerLock) {
      const names = before
        .slice(at, at + tablesPerLock)
        .map((one) => `${quoteName(one.schema)}.${quoteName(one.name)}`);
      await session.query(`LOCK TABLE ONLY ${names.join(', ONLY ')} IN ACCESS SHARE MODE`);
    }
  } catch (error) {
    if (isLast || !/does not exist/.test(messageOf(error))) throw error;
    await session.query('ROLLBACK');
    return undefined;
  }
  const snapshot = await session.value('SELECT pg_export_snapshot()');
  const selection = select(await listRelations(session), settings);
  const locked = new Set(before.map(({ oid }) => oid));
  if (selection.relations.filter(isLockable).every(({ oid }) => locked.has(oid))) return { snapshot, selection };
  await session.query('ROLLBACK');
  if (!isLast) return undefined;
  throw new HoldfastError({
    code: 'source.busy',
    message: `tables of ${session.database} are made faster than they can be locked`,
    remedy: 'Try again at a quieter time, or leave their schema out with «excludeSchemas».',
    retry: 'later',
  });
}

function isLockable({ kind }: Relation): boolean {
  return kind === 'r' || kind === 'p';
}

function present(
  source: Source,
  database: string,
  session: Session,
  { snapshot, selection }: { snapshot: string; selection: Selection },
): Held {
  const shared = new Set<Session>();
  let isOver = false;
  return {
    database,
    session,
    snapshot,
    selection,
    async share() {
      const other = await openSession(source, database);
      if (isOver) {
        await other[Symbol.asyncDispose]();
        throw cancelled();
      }
      shared.add(other);
      await other.query(
        `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = ${source.settings.lockTimeoutMs}; SET TRANSACTION SNAPSHOT '${snapshot}'`,
      );
      return other;
    },
    release: async () => void (await session.query('COMMIT')),
    async [Symbol.asyncDispose]() {
      isOver = true;
      await Promise.all([session, ...shared].map((one) => one[Symbol.asyncDispose]()));
    },
  };
}
