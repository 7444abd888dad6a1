/**
 * Puts loaded tables in the place of present ones: one RENAME TABLE for all databases, which a server does wholly or not
 * at all. What was there goes to databases of its own, with its views, routines and triggers made again there; if anything
 * fails, it comes back.
 *
 * In this order: look; write down what will be dropped, and try whether it could be made again; see that the tables can be
 * locked; drop what keeps tables from moving; move them; put views and routines in place. Only the last three touch the present.
 */
import { throwIfCancelled } from '../../base/errors.ts';
import { type Program, readDatabase } from './catalog.ts';
import { beAlone, type Identity, identityOf } from './exchange/connection.ts';
import {
  type Arrival,
  charsetOf,
  databaseExists,
  type Exchange,
  moves,
  rename,
  type SwapRequest,
  tableNames,
} from './exchange/exchange.ts';
import { finish } from './exchange/finish.ts';
import { recordName, writeRecord } from './exchange/record.ts';
import { rehearse } from './exchange/rehearse.ts';
import { giveRoutineGrants, readRoutineGrants } from './exchange/routine-grants.ts';
import { followSequences } from './exchange/sequence-defaults.ts';
import { undo } from './exchange/undo.ts';
import { explainRefusal } from './failures.ts';
import { refuseReferences } from './foreign-keys.ts';
import { makePrograms } from './load.ts';
import { quoteName, quoteText } from './names.ts';
import { dropProgram, remake } from './programs.ts';
import { tellPassedEvents } from './restored-programs.ts';
import { isServerError, oneRow, type Session } from './session.ts';

const attempts = 3;
const pauseMs = 1000;
const mostIdleSeconds = 60;
/** Once the tables are exchanged, making triggers on them is worth a wait. */
const furnishWaitSeconds = 60;

/** How far it came, of what only a server that answered can tell. */
interface Progress {
  identity?: Identity;
  /** Set before the first statement that changes what is present. */
  touched: boolean;
  readonly all: Exchange[];
  /** Targets that were made. */
  readonly made: Set<string>;
  readonly problems: string[];
}

/**
 * `restore.failed`, `restore.target-invalid`, `source.busy`, `cancelled`; the targets are as they were then, or the error
 * says where everything is. Gives problems with what was kept aside.
 */
export async function swap(request: SwapRequest): Promise<string[]> {
  const progress: Progress = { touched: false, all: [], made: new Set(), problems: [] };
  try {
    await using session = await request.open();
    await exchange(request, session, progress);
  } catch (error) {
    const { identity, touched, all, made } = progress;
    if (identity) await undo({ request, all, identity, touched, made, cause: error });
    throw error;
  }
  return [...progress.problems, ...(await finish(request, progress.all))];
}

async function exchange(request: SwapRequest, session: Session, progress: Progress): Promise<void> {
  const { all, made, problems } = progress;
  const { lockWaitSeconds } = request.settings;
  // A connection whose network is gone ends soon, and with it its locks: it never pauses for long.
  await session.run(`SET SESSION wait_timeout = ${mostIdleSeconds}`);
  await beAlone(session, request.arrivals, 0);
  for (const one of request.arrivals) all.push(await prepare(session, request, one, problems));
  await refuseReferences(session, all);
  await session.run(`SET SESSION lock_wait_timeout = ${lockWaitSeconds}`);
  progress.identity = await identityOf(session);
  for (const one of all) await writeDown(session, one);
  await awaitLocks(request, session, all);
  progress.touched = true;
  for (const one of all) await clear(session, one, made);
  await rename(session, [
    ...all.flatMap(({ target, aside, leaving }) => moves(target, aside, leaving)),
    ...all.flatMap(({ staging, target, arrived }) => moves(staging, target, arrived)),
  ]);
  await session.run(`SET SESSION lock_wait_timeout = ${Math.max(lockWaitSeconds, furnishWaitSeconds)}`);
  await followSequences(session, all);
  await furnish(session, all);
  for (const { target, grants } of all) problems.push(...(await giveRoutineGrants(session, target, grants)));
  problems.push(...(await tellPassedEvents(session, all)));
}

/** Changes nothing. */
async function prepare(
  session: Session,
  { settings }: SwapRequest,
  one: Arrival,
  problems: string[],
): Promise<Exchange> {
  const arrived = await tableNames(session, one.staging);
  const present = (await databaseExists(session, one.target))
    ? await readDatabase(session, one.target, { ...settings, excludeTables: [], excludeTableData: [] })
    : undefined;
  const { tables = [], programs = [] } = present ?? {};
  const leaving = tables.map(({ name }) => name).filter((name) => one.whole || arrived.includes(name));
  const inTheWay = programs.filter(({ table }) => one.whole || (table !== undefined && leaving.includes(table)));
  const hasRoutines = inTheWay.some(isRoutine);
  const grants = hasRoutines ? await readRoutineGrants(session, one.target) : [];
  if (grants === undefined) {
    problems.push(
      `rights on single routines of ${one.target} (GRANT … ON PROCEDURE), if there were any, are gone: the user ${session.place.user} may not read mysql.procs_priv`,
    );
  }
  const kept = (grants ?? []).filter(({ type, routine }) => inTheWay.some((program) => isOf(program, type, routine)));
  return { ...one, arrived, present, leaving, inTheWay, grants: kept, record: recordName(leaving) };
}

function isRoutine({ kind }: Program): boolean {
  return kind !== 'view' && kind !== 'trigger' && kind !== 'event';
}

function isOf({ kind, name }: Program, type: string, routine: string): boolean {
  return kind.toUpperCase() === type && name.toLowerCase() === routine.toLowerCase();
}

/** In a database of its own; the present one is not touched. */
async function writeDown(session: Session, one: Exchange): Promise<void> {
  await session.run(`CREATE DATABASE ${quoteName(one.aside)} ${charsetOf(one.present ?? one.loaded)}`);
  await writeRecord(session, one);
  await rehearse(session, one);
}

/** Who waits for a lock stands in the way of everybody after: so not for long, a few times, and before anything is dropped. */
async function awaitLocks({ signal, clock }: SwapRequest, session: Session, all: readonly Exchange[]): Promise<void> {
  const tables = all.flatMap(({ target, leaving }) =>
    leaving.map((name) => `${quoteName(target)}.${quoteName(name)} WRITE`),
  );
  for (let attempt = 1; ; attempt++) {
    throwIfCancelled(signal);
    if (tables.length === 0) return;
    try {
      await session.run(`LOCK TABLES ${tables.join(', ')}`, 'UNLOCK TABLES');
      return throwIfCancelled(signal);
    } catch (error) {
      if (!isServerError(error)) throw error;
      // RENAME TABLE needs less than this: a MERGE table whose parts are gone can be moved, not locked.
      if (error.errno !== 1205) return;
      if (attempt === attempts) throw error;
    }
    await clock.sleep(pauseMs, { signal });
  }
}

/** Drops what stands in the way of moving tables, and events, which would act on those that come. */
async function clear(session: Session, one: Exchange, made: Set<string>): Promise<void> {
  const { target, present, loaded, arrived, inTheWay } = one;
  if (present === undefined) {
    await session.run(`CREATE DATABASE ${quoteName(target)} ${charsetOf(loaded)}`);
    made.add(target);
  }
  const comes = new Set(arrived.map((name) => name.toLowerCase()));
  const hinders = ({ kind, name }: Program): boolean =>
    kind === 'trigger' || kind === 'event' || (kind === 'view' && comes.has(name.toLowerCase()));
  for (const program of inTheWay.filter(hinders)) await dropProgram(session, target, program);
}

/** Everything but tables, of all databases at once: views may read other databases. */
async function furnish(session: Session, all: readonly Exchange[]): Promise<void> {
  const whole = all.filter((one) => one.whole);
  for (const { present, target, loaded, inTheWay } of whole) {
    for (const program of inTheWay) await dropProgram(session, target, program);
    if (present) await session.run(`ALTER DATABASE ${quoteName(target)} ${charsetOf(loaded)}`);
  }
  await makePrograms(
    session,
    whole.map(({ target, loaded }) => ({ database: target, statements: loaded.programs })),
  );
  for (const one of all) if (!one.whole) await remake(session, [{ database: one.target, programs: one.inTheWay }]);
}

/** Present tables, to be told before anything is touched. */
export async function describePresent(session: Session, target: string): Promise<number> {
  try {
    const { count } = await oneRow(
      session,
      `SELECT COUNT(*) AS count FROM information_schema.TABLES WHERE TABLE_SCHEMA = ${quoteText(target)}`,
    );
    return Number(count);
  } catch (error) {
    throw explainRefusal(error, session.place, `database ${target}`);
  }
}
