/**
 * After an exchange that failed: what was there comes back. Where the tables are is read from the server, once the
 * connection that moved them has ended: of a statement whose answer was lost nobody knows whether it was done.
 */
import { HoldfastError, messageOf } from '../../../base/errors.ts';
import type { Program } from '../catalog.ts';
import { explainRefusal } from '../failures.ts';
import { quoteName } from '../names.ts';
import { dropProgram, listPrograms, remake } from '../programs.ts';
import type { Session } from '../session.ts';
import { beAlone, endConnection, type Identity } from './connection.ts';
import {
  charsetOf,
  databaseExists,
  type Exchange,
  moves,
  rename,
  type SwapRequest,
  type Whereabouts,
  whereabouts,
} from './exchange.ts';
import { recordTitle } from './record.ts';
import { giveRoutineGrants } from './routine-grants.ts';

export interface Failed {
  readonly request: SwapRequest;
  readonly all: readonly Exchange[];
  readonly identity: Identity;
  /** False only if nothing was asked for yet that changes what is present. */
  readonly touched: boolean;
  /** Targets that the server said it made. */
  readonly made: ReadonlySet<string>;
  readonly cause: unknown;
}

/** While a server cannot be reached, or has no locks for it, it is asked again after these times. */
const waitsMs = [1000, 2000, 4000, 8000];
const lockWaitSeconds = 20;
const aloneWaitSeconds = 5;

/** `restore.failed` with where everything is, if anything is not as it was. */
export async function undo(failed: Failed): Promise<void> {
  for (const waitMs of [...waitsMs, undefined]) {
    try {
      const left = await putBack(failed);
      if (left.length > 0) throw notAsBefore(failed, left.join('; '));
      return;
    } catch (thrown) {
      const error = explainRefusal(thrown, { title: 'the server', user: '' });
      const isPassing = error instanceof HoldfastError && error.retry !== 'never' && error.code !== 'restore.failed';
      if (error instanceof HoldfastError && error.code === 'restore.failed') throw error;
      if (!isPassing || waitMs === undefined) throw notAsBefore(failed, messageOf(error), error);
      await failed.request.clock.sleep(waitMs);
    }
  }
}

/** May be done any number of times. Gives what is not as it was. */
async function putBack(failed: Failed): Promise<string[]> {
  const { request, all, identity, touched, made } = failed;
  await using session = await request.open();
  await endConnection(session, identity, request.clock);
  // What another restore found here it took for what was there.
  await beAlone(session, all, aloneWaitSeconds).catch((error: unknown) => {
    throw error instanceof HoldfastError && error.code === 'source.busy'
      ? notAsBefore(failed, error.message, error)
      : error;
  });
  await session.run(`SET SESSION lock_wait_timeout = ${lockWaitSeconds}`);
  if (touched) await moveBack(session, all);
  const left: string[] = [];
  for (const one of all) {
    if (touched && one.present) left.push(...(await putProgramsBack(session, one)));
  }
  if (left.length > 0) return left;
  for (const one of all) left.push(...(await removeEmpty(session, one, made)));
  return left;
}

async function moveBack(session: Session, all: readonly Exchange[]): Promise<void> {
  const found: { one: Exchange; arrived: string[]; leaving: string[] }[] = [];
  for (const one of all) found.push({ one, ...misplaced(one, await whereabouts(session, one)) });
  // Without any tables to move nothing tells how far it came.
  const isMoved =
    found.some(({ arrived, leaving }) => arrived.length + leaving.length > 0) ||
    all.every(({ arrived, leaving }) => arrived.length + leaving.length === 0);
  if (!isMoved) return;
  for (const { target, whole, inTheWay } of all) {
    // Where some tables were restored, only what was made again on them stands in the way.
    for (const one of whole ? await listPrograms(session, target) : inTheWay) await dropProgram(session, target, one);
  }
  await rename(session, [
    ...found.flatMap(({ one, arrived }) => moves(one.target, one.staging, arrived)),
    ...found.flatMap(({ one, leaving }) => moves(one.aside, one.target, leaving)),
  ]);
  for (const { target, whole, present } of all) {
    if (whole && present) await session.run(`ALTER DATABASE ${quoteName(target)} ${charsetOf(present)}`);
  }
}

/** The tables that are not where they were before. A loaded one is in the target only if it is no longer where it was loaded. */
function misplaced(
  { arrived, leaving }: Exchange,
  { target, staging, aside }: Whereabouts,
): { arrived: string[]; leaving: string[] } {
  const isLoaded = (name: string): boolean => !leaving.includes(name) || aside.has(name);
  return {
    arrived: arrived.filter((name) => target.has(name) && !staging.has(name) && isLoaded(name)),
    leaving: leaving.filter((name) => aside.has(name)),
  };
}

/** Those that are missing. */
async function putProgramsBack(session: Session, one: Exchange): Promise<string[]> {
  const { target, inTheWay, grants } = one;
  const missing = async (): Promise<Program[]> => {
    const there = await listPrograms(session, target);
    return inTheWay.filter(({ kind, name }) => !there.some((other) => other.kind === kind && other.name === name));
  };
  let reason = '';
  try {
    await remake(session, [{ database: target, programs: await missing() }]);
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.code !== 'restore.failed') throw error;
    reason = messageOf(error);
  }
  const lost = (await missing()).map(({ kind, name }) => `${kind} ${name}`);
  const problems = await giveRoutineGrants(session, target, grants);
  if (lost.length === 0) return problems;
  const what = `${lost.join(', ')} could not be made again in ${target} (${reason}); the definitions are in ${recordTitle(one)}`;
  return [what, ...problems];
}

/** The databases of this exchange, as long as nothing is in them. */
async function removeEmpty(session: Session, one: Exchange, made: ReadonlySet<string>): Promise<string[]> {
  const { target, aside } = one;
  const there = await whereabouts(session, one);
  if (await databaseExists(session, aside)) {
    if (there.aside.size > 0)
      return [`${aside} holds tables that ${target} did not have: ${[...there.aside].join(', ')}`];
    await session.run(`DROP DATABASE ${quoteName(aside)}`);
  }
  if (!made.has(target) || there.target.size > 0 || !(await databaseExists(session, target))) return [];
  if ((await listPrograms(session, target)).length === 0) await session.run(`DROP DATABASE ${quoteName(target)}`);
  return [];
}

function notAsBefore({ all, cause, touched }: Failed, what: string, error?: unknown): HoldfastError {
  const list = (names: readonly string[]): string => names.join(', ');
  const targets = list(all.map(({ target }) => target));
  const asides = list(all.map(({ aside }) => aside));
  if (!touched) {
    return new HoldfastError({
      code: 'restore.failed',
      message: `the restore of ${targets} failed (${messageOf(cause)}), and its work could not be removed: ${what}; what was there is as it was`,
      remedy: `Drop ${asides} if it is there, and restore again.`,
      cause: error ?? cause,
    });
  }
  return new HoldfastError({
    code: 'restore.failed',
    message: `the restore of ${targets} failed (${messageOf(cause)}), and so did putting back what was there: ${what}`,
    remedy: `The tables that were there are in ${targets} or in ${asides}: move them with RENAME TABLE. The definitions of views, routines, triggers and events that were there, and rights on them, are in ${list(all.map(recordTitle))}: run in ${targets} those that are missing. Drop ${asides} last.`,
    cause: error ?? cause,
  });
}
