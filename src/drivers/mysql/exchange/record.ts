/**
 * What is dropped on the way is written down before: in a table of the database that keeps the present tables. It outlives
 * this program and the network, and goes when everything is where it belongs.
 */
import type { Program } from '../catalog.ts';
import { quoteName, quoteText } from '../names.ts';
import type { Session } from '../session.ts';
import { charsetOf, type Exchange } from './exchange.ts';
import { grantStatement } from './routine-grants.ts';

const recordWord = 'holdfast_programs';
const asideForm = /^(.*)_before_\d{8}_\d{6}_[a-z\d]{8}$/s;
/** A longer name of a database is cut to this before it. */
const longestHead = 32;

/**
 * Of these databases, what is said if a restore left a record, as one does that broke off in its exchange or could not make
 * everything again: they may lack triggers, views or tables since, and nothing else shows it. As far as the user is shown the database beside.
 */
export async function tellBrokenOff(session: Session, names: readonly string[]): Promise<string[]> {
  const rows = await session.rows(
    `SELECT TABLE_SCHEMA AS aside FROM information_schema.TABLES WHERE TABLE_NAME = '${recordWord}' ORDER BY TABLE_SCHEMA`,
  );
  return rows.flatMap(({ aside }) => {
    const head = asideForm.exec(aside ?? '')?.[1];
    const isWhole = head !== undefined && [...head].length < longestHead;
    const of = names.find((name) => name === head || (!isWhole && head !== undefined && name.startsWith(head)));
    if (of === undefined) return [];
    return `a restore of ${of} did not come to its end: ${aside} has what was there, and its table ${recordWord} what ${of} may lack of views, routines, triggers and events (docs/drivers says how to go on); or it ended with problems that named this table, and it is to be dropped when they are seen to`;
  });
}

/** A name that none of the tables has that move there. */
export function recordName(leaving: readonly string[]): string {
  const taken = new Set(leaving.map((name) => name.toLowerCase()));
  let name = recordWord;
  while (taken.has(name)) name += '_';
  return name;
}

/** Where it is, for people. */
export function recordTitle({ aside, record }: Exchange): string {
  return `${quoteName(aside)}.${quoteName(record)}`;
}

/** Each definition with what it was made under, in an order in which they can be made. */
export async function writeRecord(session: Session, one: Exchange): Promise<void> {
  const { aside, record, target, present, inTheWay, grants } = one;
  const table = `${quoteName(aside)}.${quoteName(record)}`;
  await session.run(
    `CREATE TABLE ${table} (number INT PRIMARY KEY, kind VARCHAR(16), name VARCHAR(64), of_database VARCHAR(64), sql_mode TEXT, collation_connection VARCHAR(64), time_zone VARCHAR(64), database_collation VARCHAR(64), definition LONGTEXT) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4`,
  );
  const rows: readonly Written[] = [
    ...(present
      ? [{ kind: 'database', name: target, definition: `ALTER DATABASE ${quoteName(target)} ${charsetOf(present)}` }]
      : []),
    ...inTheWay,
    ...grants.map((grant) => ({ kind: 'grant', name: grant.routine, definition: grantStatement(target, grant) })),
  ];
  for (const [number, row] of rows.entries()) {
    const { kind, name, sqlMode, collation, timeZone, madeIn, definition } = row;
    const values = [kind, name, target, sqlMode, collation, timeZone, madeIn?.collation, definition].map((value) =>
      value === undefined ? 'NULL' : quoteText(value),
    );
    await session.run(`INSERT INTO ${table} VALUES (${[String(number), ...values].join(', ')})`);
  }
}

type Written = Pick<Program, 'name' | 'definition' | 'sqlMode' | 'collation' | 'timeZone' | 'madeIn'> & {
  readonly kind: string;
};
