/**
 * Whether this user can make what it is about to drop, and what it is about to make: tried in `aside`, where nobody looks,
 * before anything of the present state is touched. Only the server knows what its rights, its binary log and its version allow.
 */
import { HoldfastError, messageOf } from '../../../base/errors.ts';
import type { Program } from '../catalog.ts';
import { makePrograms } from '../load.ts';
import { loadSession } from '../load-session.ts';
import { quoteName } from '../names.ts';
import { dropProgram, listPrograms, programStatements, remake } from '../programs.ts';
import type { Statement } from '../script.ts';
import { isServerError, type Session } from '../session.ts';
import { charsetOf, type Exchange } from './exchange.ts';
import { grantStatement } from './routine-grants.ts';

/** A view whose tables, columns or functions are gone is broken already; it may not stand in the way of getting them back. */
const brokenView: ReadonlySet<number> = new Set([1049, 1054, 1146, 1305, 1356]);
/** Access denied, of any kind, and what a binary log forbids to who is no administrator. */
const refusals: ReadonlySet<number> = new Set([1044, 1045, 1142, 1143, 1227, 1370, 1418, 1419]);

/** `restore.failed` naming what could not be made. Leaves nothing in `aside` but its record. */
export async function rehearse(session: Session, one: Exchange): Promise<void> {
  const definers = new Set<string>();
  for (const program of one.inTheWay) {
    definers.add(definerOf(program.definition));
    await attempt(session, one, `the ${program.kind} ${program.name} that is there`, () =>
      tryPresent(session, one, program),
    );
  }
  for (const grant of one.grants) {
    const statement = grantStatement(one.aside, grant);
    await attempt(session, one, `a right on the routine ${grant.routine} that is there`, () => session.run(statement));
  }
  await empty(session, one.aside);
  if (one.whole) await rehearseLoaded(session, one, definers);
  if (definers.size > 0) await tryDefiners(session, one, definers);
}

/** Triggers need their table: whether their definer may be named is tried apart. */
async function tryPresent(session: Session, { aside, target }: Exchange, program: Program): Promise<void> {
  if (program.kind === 'trigger') return;
  if (program.kind !== 'view') return await remake(session, [{ database: aside, programs: [asleep(program)] }]);
  // Its tables are named without their database: with the target as the current one it finds them from elsewhere.
  await session.run(`USE ${quoteName(target)}`);
  const name = quoteName(program.name);
  const definition = program.definition.replace(` VIEW ${name} `, () => ` VIEW ${quoteName(aside)}.${name} `);
  try {
    await session.run(...programStatements({ ...program, definition }));
  } catch (error) {
    if (!isServerError(error) || !brokenView.has(error.errno)) throw error;
    await session.run(...loadSession);
  }
}

/** Of what is loaded only refusals count: it may need what comes with the exchange. */
async function rehearseLoaded(session: Session, one: Exchange, definers: Set<string>): Promise<void> {
  for (const statement of one.loaded.programs) {
    const { section } = statement;
    if (section.kind !== 'program' || !statement.sql.startsWith('CREATE ')) continue;
    definers.add(definerOf(statement.sql));
    if (section.program === 'trigger' || section.program === 'view') continue;
    const group = one.loaded.programs.filter((other) => other.section === section).map(sleeping);
    const make = (): Promise<void> => makePrograms(session, [{ database: one.aside, statements: group }]);
    await attempt(session, one, `the ${section.program} ${section.name} of the snapshot`, make, refusals);
  }
  await empty(session, one.aside);
  // Programs that were made under another collation leave that of the snapshot's database.
  await session.run(`ALTER DATABASE ${quoteName(one.aside)} ${charsetOf(one.present ?? one.loaded)}`);
}

/** A view and a trigger of each definer: MySQL and MariaDB ask for the same rights whatever is in them. */
async function tryDefiners(session: Session, one: Exchange, definers: ReadonlySet<string>): Promise<void> {
  const { aside, record } = one;
  const [trial, table] = [`${quoteName(aside)}.\`holdfast_trial\``, `${quoteName(aside)}.${quoteName(record)}`];
  for (const definer of definers) {
    await attempt(session, one, `a view or trigger of ${definer === '' ? 'its own' : definer}`, () =>
      session.run(
        `CREATE ${definer} VIEW ${trial} AS SELECT 1 AS one`,
        `DROP VIEW ${trial}`,
        `CREATE ${definer} TRIGGER ${trial} BEFORE INSERT ON ${table} FOR EACH ROW SET @holdfast_trial = 1`,
        `DROP TRIGGER ${trial}`,
      ),
    );
  }
}

async function attempt(
  session: Session,
  { target }: Exchange,
  what: string,
  make: () => Promise<void>,
  counts?: ReadonlySet<number>,
): Promise<void> {
  try {
    await make();
  } catch (error) {
    const answer = isServerError(error) ? error : error instanceof HoldfastError ? error.cause : undefined;
    if (!isServerError(answer)) throw error;
    if (counts && !counts.has(answer.errno)) return;
    throw new HoldfastError({
      code: 'restore.failed',
      message: `the user ${session.place.user} could not make ${what} in ${target} on ${session.place.title}, so nothing was touched: ${messageOf(answer)}`,
      remedy:
        'Restore as a user with the rights docs/drivers lists for restores (those to name other definers, and with a binary log SUPER or log_bin_trust_function_creators), or to another database.',
      cause: error,
    });
  }
}

async function empty(session: Session, database: string): Promise<void> {
  for (const program of await listPrograms(session, database)) await dropProgram(session, database, program);
}

const definer = /^CREATE .*?(DEFINER=`(?:[^`]|``)*`(?:@`(?:[^`]|``)*`)?)/s;

function definerOf(definition: string): string {
  return definer.exec(definition)?.[1] ?? '';
}

const awake = /\b(ON COMPLETION (?:NOT )?PRESERVE) ENABLE\b/;

/** An event that does not act. */
export function asleep(program: Program): Program {
  if (program.kind !== 'event') return program;
  return { ...program, definition: program.definition.replace(awake, '$1 DISABLE') };
}

function sleeping({ section, sql }: Statement): Statement {
  const isEvent = section.kind === 'program' && section.program === 'event';
  return { section, sql: isEvent ? sql.replace(awake, '$1 DISABLE') : sql };
}
