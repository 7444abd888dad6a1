/**
 * One moment for all connections of a backup. A short lock keeps commits out while each reading connection opens its
 * snapshot and the position in the binary log is noted; it is gone before the first row is read. Where one connection
 * is enough, it needs no lock: its snapshot is one moment by itself.
 */
import { formatDuration } from '../../base/bytes.ts';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import type { SourceContext } from '../driver.ts';
import type { Database } from './catalog.ts';
import { explainRefusal } from './failures.ts';
import { quoteName } from './names.ts';
import { isAtLeast, prepareReader, type Server } from './server.ts';
import { isServerError, openSession, type Session } from './session.ts';
import type { Settings } from './settings.ts';

/** Where the snapshot lies in the server's binary log. */
export interface LogPosition {
  readonly file: string;
  readonly position: string;
  readonly gtid?: string;
}

export interface Moment extends AsyncDisposable {
  /** Each in a transaction that sees the same moment. */
  readonly readers: readonly Session[];
  readonly position?: LogPosition;
  readonly notes: readonly string[];
  /** Lets writers of tables without transactions go on. Does nothing the second time. */
  releaseTables(): Promise<void>;
}

export interface MomentRequest {
  readonly source: SourceContext<Settings>;
  readonly server: Server;
  readonly databases: readonly Database[];
  /** Tables to hold until `releaseTables`, quoted with their database. */
  readonly heldTables: readonly string[];
  /** At most this many readers. */
  readonly mostReaders: number;
}

const attempts = 3;
const pauseMs = 3000;

/** `source.busy` if the lock cannot be had in time; nothing is held then. */
export async function holdMoment(request: MomentRequest): Promise<Moment> {
  const { source } = request;
  for (let attempt = 1; ; attempt++) {
    try {
      return await attemptMoment(request);
    } catch (error) {
      if (attempt === attempts || !hasCode(error, 'source.busy')) throw error;
      await source.clock.sleep(pauseMs, { signal: source.signal });
    }
  }
}

async function attemptMoment(request: MomentRequest): Promise<Moment> {
  await using opening = new AsyncDisposableStack();
  const { source, server, heldTables, mostReaders } = request;
  const open = async (): Promise<Session> => {
    const session = opening.use(await openSession(source));
    await prepareReader(session, server);
    return session;
  };
  const readers = [await open()];
  const holder = heldTables.length > 0 ? await open() : undefined;
  const linesUp = mostReaders > 1 || holder !== undefined;
  const lock = linesUp || server.flavour === 'mysql' ? await chooseLock(request, opening, linesUp) : undefined;
  if (lock) while (readers.length < mostReaders) readers.push(await open());
  const heldFromMs = source.clock.monotonicMs();
  await lock?.take();
  try {
    // READ, not READ LOCAL: rows appended by others would be seen.
    if (holder) await holder.run(`LOCK TABLES ${heldTables.map((one) => `${one} READ`).join(', ')}`);
    for (const reader of readers) await reader.run('START TRANSACTION WITH CONSISTENT SNAPSHOT');
    const position = await readPosition(readers[0], server, lock !== undefined && lock.name !== '');
    await lock?.release();
    const heldMs = source.clock.monotonicMs() - heldFromMs;
    return asMoment(opening.move(), { readers, holder, position, notes: notesOf(lock, heldMs, position) });
  } catch (error) {
    throw explainRefusal(error, readers[0].place, 'at the start of the snapshot');
  }
}

function asMoment(
  held: AsyncDisposableStack,
  parts: Pick<Moment, 'readers' | 'position' | 'notes'> & { holder: Session | undefined },
): Moment {
  let { holder } = parts;
  return {
    ...{ readers: parts.readers, position: parts.position, notes: parts.notes },
    async releaseTables() {
      const last = holder;
      holder = undefined;
      await last?.run('UNLOCK TABLES');
    },
    [Symbol.asyncDispose]: () => held[Symbol.asyncDispose](),
  };
}

/** A way to keep commits out for a moment. */
interface Lock {
  readonly name: string;
  take(): Promise<void>;
  release(): Promise<void>;
}

/** The gentlest lock the user may take. Nothing is locked yet. */
async function chooseLock(request: MomentRequest, opening: AsyncDisposableStack, required: boolean): Promise<Lock> {
  const { source, server, databases } = request;
  const session = opening.use(await openSession(source));
  // Should this process stall, the server lets go by itself.
  await session.run(
    `SET SESSION lock_wait_timeout = ${source.settings.lockWaitSeconds}, wait_timeout = ${10 * source.settings.lockWaitSeconds}`,
  );
  const tables = databases.flatMap((database) =>
    database.tables.map((table) => `${quoteName(database.name)}.${quoteName(table.name)} READ`),
  );
  const ways: readonly (readonly [string, readonly string[], string])[] = [
    ...(server.flavour === 'mariadb' && isAtLeast(server.numbers, 10, 4, 8)
      ? [['a backup lock', ['BACKUP STAGE START', 'BACKUP STAGE BLOCK_COMMIT'], 'BACKUP STAGE END'] as const]
      : []),
    ['the global read lock', ['FLUSH TABLES WITH READ LOCK'], 'UNLOCK TABLES'],
    ...(tables.length > 0
      ? [['locks on all its tables', [`LOCK TABLES ${tables.join(', ')}`], 'UNLOCK TABLES'] as const]
      : []),
  ];
  const lock = { name: '', last: '' };
  return {
    get name() {
      return lock.name;
    },
    async take() {
      for (const [name, statements, last] of ways) {
        if (!(await isAllowed(session, statements))) continue;
        Object.assign(lock, { name, last });
        return;
      }
      if (required) throw noLock(session);
    },
    async release() {
      if (lock.last !== '') await session.run(lock.last);
      await session[Symbol.asyncDispose]();
    },
  };
}

/** False if the user lacks the privilege; what was taken until then is given back. */
async function isAllowed(session: Session, statements: readonly string[]): Promise<boolean> {
  try {
    await session.run(...statements);
    return true;
  } catch (error) {
    const denied = isServerError(error) && [1044, 1142, 1227].includes(error.errno);
    if (!denied) throw explainRefusal(error, session.place, 'waiting for the lock that lines the connections up');
    return false;
  }
}

function noLock(session: Session): HoldfastError {
  return new HoldfastError({
    code: 'source.unreadable',
    message: `the user ${session.place.user} of ${session.place.title} may take no lock that gives all connections one moment`,
    remedy: 'Grant it RELOAD, or LOCK TABLES on the databases.',
  });
}

/** Exact: nothing commits meanwhile, or (MariaDB) the server notes it with the snapshot. `undefined` without a binary log, or the privilege to ask. */
async function readPosition(session: Session, server: Server, locked: boolean): Promise<LogPosition | undefined> {
  try {
    if (server.flavour === 'mariadb') return await mariadbPosition(session);
    if (!locked) return undefined;
    const statement = isAtLeast(server.numbers, 8, 2) ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS';
    const row = await session.row(statement);
    if (!row?.File) return undefined;
    const gtid = row.Executed_Gtid_Set?.replaceAll('\n', '');
    return { file: row.File, position: row.Position ?? '', ...(gtid && { gtid }) };
  } catch (error) {
    if (isServerError(error) && error.errno === 1227) return undefined;
    throw error;
  }
}

async function mariadbPosition(session: Session): Promise<LogPosition | undefined> {
  const rows = await session.rows("SHOW STATUS LIKE 'binlog_snapshot_%'");
  const value = (name: string): string => rows.find((row) => row.Variable_name?.toLowerCase() === name)?.Value ?? '';
  const file = value('binlog_snapshot_file');
  if (file === '') return undefined;
  const position = value('binlog_snapshot_position');
  const found = await session.row(
    `SELECT BINLOG_GTID_POS('${file.replaceAll("'", "''")}', ${Number(position)}) AS gtid`,
  );
  return { file, position, ...(found?.gtid && { gtid: found.gtid }) };
}

function notesOf(lock: Lock | undefined, heldMs: number, position: LogPosition | undefined): string[] {
  const held = lock?.name ? [`writers waited for ${lock.name}, ${formatDuration(heldMs)} at most`] : [];
  const where = position
    ? []
    : ['the position in the binary log is not known: the log is off, or the user may not ask'];
  return [...held, ...where];
}
