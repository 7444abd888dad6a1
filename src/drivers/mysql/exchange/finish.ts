/** After an exchange that is done: what was there is dropped, or made whole where it is kept. Nothing here undoes the restore. */
import { HoldfastError, messageOf } from '../../../base/errors.ts';
import { explainRefusal } from '../failures.ts';
import { seesAllKeys } from '../foreign-keys.ts';
import { quoteName } from '../names.ts';
import { listPrograms, remake } from '../programs.ts';
import { isServerError, type Session } from '../session.ts';
import { databaseExists, type Exchange, isKept, type SwapRequest, tableNames, whereabouts } from './exchange.ts';
import { recordTitle } from './record.ts';
import { asleep } from './rehearse.ts';

/** What a server says that may not drop a table others refer to: MariaDB, and MySQL 5.7, 8. */
const referred: ReadonlySet<number> = new Set([1217, 1451, 3730]);
const waitsMs = [1000, 2000, 4000];

/** Never rejects: gives what is left to do, as problems. A connection that breaks is opened again. */
export async function finish(request: SwapRequest, all: readonly Exchange[]): Promise<string[]> {
  for (const waitMs of [...waitsMs, undefined]) {
    try {
      await using session = await request.open();
      const problems: string[] = [];
      for (const one of all) problems.push(...(await finishOne(session, one, request.overwrite)));
      return problems;
    } catch (error) {
      if (waitMs === undefined) return [leftOver(all, request.overwrite, error)];
      await request.clock.sleep(waitMs);
    }
  }
  return [];
}

/** May be done any number of times. */
async function finishOne(session: Session, one: Exchange, overwrite: boolean): Promise<string[]> {
  const problems: string[] = [];
  if (overwrite || !isKept(one)) problems.push(...(await dropAside(session, one, overwrite)));
  else problems.push(...(await keepPrograms(session, one)), ...(await tellUnseen(session, one)));
  problems.push(...(await dropDatabase(session, one.staging)));
  return problems;
}

async function dropAside(session: Session, one: Exchange, overwrite: boolean): Promise<string[]> {
  const { aside } = await whereabouts(session, one);
  if (!overwrite && aside.size > 0) return [`${one.aside} holds tables that were not expected there, and is kept`];
  if (await seesAllKeys(session)) return await dropDatabase(session, one.aside);
  // No foreign key was seen that refers to it. Of those this user is not shown the server knows: it does not drop it then.
  await session.run('SET SESSION foreign_key_checks = 1');
  const problems = await dropDatabase(session, one.aside);
  await session.run('SET SESSION foreign_key_checks = 0');
  return problems;
}

/** Keys follow a table that is moved. */
async function tellUnseen(session: Session, { leaving, target, aside }: Exchange): Promise<string[]> {
  if (leaving.length === 0 || (await seesAllKeys(session))) return [];
  return [
    `foreign keys to ${target} of tables that the user ${session.place.user} is not shown, if there are any, refer to ${aside} now: look for them with a user who has REFERENCES on *.* before you drop it`,
  ];
}

async function dropDatabase(session: Session, name: string): Promise<string[]> {
  if (!(await databaseExists(session, name))) return [];
  try {
    await session.run(`DROP DATABASE ${quoteName(name)}`);
    return [];
  } catch (error) {
    if (!isServerError(error)) throw error;
    if (referred.has(error.errno)) {
      return [
        `everything is restored, but a table that the user ${session.place.user} is not shown has a foreign key to one in ${name}, which is kept for that: make the key anew, and drop it (${messageOf(error)})`,
      ];
    }
    return [`everything is restored, but ${name} could not be dropped, drop it: ${messageOf(error)}`];
  }
}

/** In the kept database they are made again to be looked at; its events do not act. The record goes if it has no more than that. */
async function keepPrograms(session: Session, one: Exchange): Promise<string[]> {
  const { aside, record, whole, inTheWay } = one;
  const there = await listPrograms(session, aside);
  const missing = inTheWay.filter(({ kind, name }) => !there.some((had) => had.kind === kind && had.name === name));
  const problems: string[] = [];
  for (const program of whole ? missing : []) {
    try {
      await remake(session, [{ database: aside, programs: [asleep(program)] }]);
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.code !== 'restore.failed') throw error;
      problems.push(
        `the ${program.kind} ${program.name} that was there is not in ${aside}, its definition is in ${recordTitle(one)}: ${messageOf(error)}`,
      );
    }
  }
  const made = whole && problems.length === 0 ? await listPrograms(session, aside) : undefined;
  const passed = missing.filter(
    ({ kind, name }) => kind === 'event' && made && !made.some((had) => had.kind === kind && had.name === name),
  );
  if (passed.length > 0) {
    problems.push(
      `events that were there and whose time has passed are not in ${aside}, their definitions are in ${recordTitle(one)}: ${passed.map(({ name }) => name).join(', ')}`,
    );
  }
  const isThere = (await tableNames(session, aside)).includes(record);
  if (problems.length === 0 && isThere) await session.run(`DROP TABLE ${quoteName(aside)}.${quoteName(record)}`);
  return problems;
}

function leftOver(all: readonly Exchange[], overwrite: boolean, error: unknown): string {
  const names = (pick: (one: Exchange) => string): string => all.map(pick).join(', ');
  const kept = overwrite
    ? `drop ${names(({ aside }) => aside)}, with what was there before`
    : `what was there before is in ${names(({ aside }) => aside)}, the definitions of its views, routines, triggers and events may still be in ${names(recordTitle)} only`;
  const reason = messageOf(explainRefusal(error, { title: 'the server', user: '' }));
  return `everything is restored, but not tidied up (${reason}): drop ${names(({ staging }) => staging)} if it is there; ${kept}`;
}
