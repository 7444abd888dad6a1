/**
 * What a drill compares: for every table the number of rows and a checksum of all of them that does not depend on their
 * order, sequences, large objects, roles, and the shape of every object.
 */
import { forEachConcurrent } from '../../base/concurrency.ts';
import type { Fact, Fingerprint } from '../../model/fingerprint.ts';
import type { Relation, Selection } from './choice.ts';
import { definitionFacts, digest } from './definitions.ts';
import { rolesSql } from './definitions-sql.ts';
import type { Session } from './session.ts';
import { quoteName } from './sql-text.ts';

export type Level = 'full' | 'counts';
export const algorithms: Readonly<Record<Level, string>> = {
  full: 'postgres hashtextextended sum 1',
  counts: 'postgres counts 1',
};

/** What was measured, so that the copy is measured alike. */
export interface Extent {
  readonly level: Level;
  /** `content`: sizes and bytes; `count`: the user may not read them. */
  readonly largeObjects: 'content' | 'count' | 'none';
  readonly breadth: Selection['breadth'];
  readonly includesUnlogged: boolean;
}

export interface Taking {
  readonly session: Session;
  /** Other connections that see the same; disposed by their owner. */
  readonly others: readonly Session[];
  readonly selection: Selection;
  readonly extent: Extent;
}

/** Facts of one database. Errors are those of reading it. */
export async function takeFacts({ session, others, selection, extent }: Taking): Promise<Fact[]> {
  const facts = await definitionFacts(session, selection);
  if (extent.largeObjects !== 'none') facts.push(...(await largeObjectFacts(session, extent)));
  const tables = selection.relations.filter((one) => one.kind === 'r' && (extent.includesUnlogged || !one.isUnlogged));
  const queue = tables.toSorted((a, b) => b.bytes - a.bytes);
  const free = [session, ...others];
  await forEachConcurrent(queue, free.length, async (table) => {
    const own = free.pop()!;
    facts.push(...(await rowFacts(own, table, extent.level, selection.withoutRows.has(table.oid))));
    free.push(own);
  });
  return facts;
}

async function rowFacts(session: Session, table: Relation, level: Level, isEmptied: boolean): Promise<Fact[]> {
  const subject = `table ${table.schema}.${table.name}`;
  const [rows, checksum] = isEmptied ? ['0', '0'] : await measureRows(session, table, level);
  return [
    { subject, measure: 'rows', value: rows },
    ...(level === 'full' ? [{ subject, measure: 'checksum', value: checksum }] : []),
  ];
}

async function measureRows(session: Session, table: Relation, level: Level): Promise<readonly [string, string]> {
  const from = `FROM ONLY ${quoteName(table.schema)}.${quoteName(table.name)}`;
  if (level === 'counts') return [await session.value(`SELECT count(*) ${from}`), ''];
  const [[columns] = []] = await session.query(
    `SELECT string_agg('t.' || quote_ident(attname), ', ' ORDER BY attname COLLATE "C") FROM pg_attribute WHERE attrelid = ${table.oid} AND attnum > 0 AND NOT attisdropped`,
  );
  // The text of the whole row: `hash_record_extended` is cheaper, but adds up columns, so that the sum over all rows would not see
  // two rows that exchanged values; and its hashes take 1.0 and 1.00 for equal.
  // Columns in the order of their names: a child of an inheritance tree may have them in another order after a restore.
  const [[rows, checksum] = []] = await session.query(
    `SELECT count(*), coalesce(sum(hashtextextended(ROW(${columns ?? ''})::text COLLATE "C", 0)), 0) ${from} t`,
  );
  return [rows ?? '', checksum ?? ''];
}

/** A hole in a large object is filled with zeros by a restore: zeros at the end of a page, and pages of zeros, do not count. */
async function largeObjectFacts(session: Session, { largeObjects, level }: Extent): Promise<Fact[]> {
  const subject = 'large objects';
  const count = {
    subject,
    measure: 'count',
    value: await session.value('SELECT count(*) FROM pg_largeobject_metadata'),
  };
  if (largeObjects === 'count' || level === 'counts') return [count];
  const [[sizes, content] = []] = await session.query(`
    SELECT coalesce((SELECT sum(hashtextextended(loid::text || ' ' || size::text, 0)) FROM (SELECT loid, max(pageno::bigint * 2048 + octet_length(data)) AS size FROM pg_largeobject GROUP BY loid) s), 0),
      coalesce((SELECT sum(hashtextextended(loid::text || ' ' || pageno::text || ' ' || page, 0)) FROM (SELECT loid, pageno, rtrim(encode(data, 'hex'), '0') AS page FROM pg_largeobject) p WHERE page <> ''), 0)`);
  return [count, { subject, measure: 'checksum', value: `${sizes} ${content}` }];
}

/** Those whose values are stored; since 15 the sequence of an unlogged table is unlogged, too. */
export function sequencesOf(
  relations: readonly Relation[],
  { includesUnlogged }: Pick<Extent, 'includesUnlogged'>,
): Relation[] {
  return relations.filter(({ kind, isUnlogged }) => kind === 'S' && (includesUnlogged || !isUnlogged));
}

/** What `nextval` would give; a sequence does not respect snapshots. */
export async function nextValues(session: Session, sequences: readonly Relation[]): Promise<Map<string, bigint>> {
  const values = new Map<string, bigint>();
  for (let at = 0; at < sequences.length; at += 100) {
    const parts = sequences
      .slice(at, at + 100)
      .map(
        ({ oid, schema, name }) =>
          `SELECT ${oid}, CASE WHEN s.is_called THEN s.last_value::numeric + q.seqincrement ELSE s.last_value END FROM ${quoteName(schema)}.${quoteName(name)} s, pg_sequence q WHERE q.seqrelid = ${oid}`,
      );
    for (const [oid, value] of await session.query(parts.join(' UNION ALL ')))
      values.set(oid ?? '', BigInt(value ?? 0));
  }
  return values;
}

/** The dump read each sequence some time between the two readings. */
export function sequenceFacts(
  sequences: readonly Relation[],
  before: ReadonlyMap<string, bigint>,
  after: ReadonlyMap<string, bigint>,
): Fact[] {
  return sequences.map(({ oid, schema, name }) => {
    const [low, high] = [before.get(oid) ?? 0n, after.get(oid) ?? 0n].toSorted((a, b) => (a < b ? -1 : 1));
    return {
      subject: `sequence ${schema}.${name}`,
      measure: nextValueMeasure,
      value: low === high ? `${low}` : `${low}..${high}`,
    };
  });
}

export const nextValueMeasure = 'next value';

/** True for a value inside a range `low..high`. */
export function isWithin(range: string, value: string): boolean {
  const [low, high = low] = range.split('..');
  return /^-?\d+$/.test(value) && BigInt(low) <= BigInt(value) && BigInt(value) <= BigInt(high);
}

export async function roleFacts(session: Session): Promise<Fact[]> {
  const rows = await session.query(rolesSql, [temporaryRole(session)]);
  return rows.map(([subject, attributes]) => ({
    subject: subject ?? '',
    measure: 'attributes',
    value: digest(attributes ?? ''),
  }));
}

/** The superuser of a throwaway server is no role of the source. */
function temporaryRole({ place }: Session): string {
  return place.user.startsWith(throwawayRole) ? place.user : '';
}

export const throwawayRole = 'holdfast_drill_';

/** The bytes of a stored fingerprint. */
export function asFingerprint(level: Level, takenAtMs: number, facts: readonly Fact[]): Fingerprint {
  const order = (a: Fact, b: Fact): number => Buffer.compare(Buffer.from(a.subject), Buffer.from(b.subject));
  return { format: 1, driver: 'postgres', algorithm: algorithms[level], takenAtMs, facts: facts.toSorted(order) };
}
