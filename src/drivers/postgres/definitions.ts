/** Facts about the shape of a database. */
import { createHash } from 'node:crypto';
import type { Fact } from '../../model/fingerprint.ts';
import type { Selection } from './choice.ts';
import { databaseObjectSql, relationsSql, schemaObjectSql } from './definitions-sql.ts';
import type { Row, Session } from './session.ts';

/** Compared only between servers of the same major version. */
export const textMeasure = 'text';

export async function definitionFacts(session: Session, { relations, breadth, hasSchema }: Selection): Promise<Fact[]> {
  const found: (readonly Row[])[] = [
    await session.query(relationsSql, [`{${relations.map(({ oid }) => oid).join(',')}}`]),
  ];
  const queries = [...(breadth === 'tables' ? [] : schemaObjectSql), ...(breadth === 'all' ? databaseObjectSql : [])];
  for (const sql of queries) {
    const rows = await session.query(sql);
    found.push(rows.filter(([schema]) => schema === null || hasSchema(schema)));
  }
  return found.flat().flatMap(factsOf);
}

function factsOf([, name, owner, privileges, shape, text]: Row): Fact[] {
  const subject = name ?? '';
  return [
    ...(owner === null ? [] : [{ subject, measure: 'owner', value: owner }]),
    ...(privileges === null ? [] : [{ subject, measure: 'privileges', value: privileges }]),
    { subject, measure: 'definition', value: digest(shape ?? '') },
    ...(text === null || text === '' ? [] : [{ subject, measure: textMeasure, value: digest(plainExpression(text)) }]),
  ];
}

export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

/**
 * An expression without casts, brackets and spaces: PostgreSQL writes `x IN ('a', 'b')` on a varchar with its casts elsewhere
 * once it was dumped and restored, and means the same.
 */
export function plainExpression(text: string): string {
  const type = String.raw`(?:character varying|double precision|bit varying|time(?:stamp)?(?:\(\d\))? with(?:out)? time zone|(?:"[^"]*"|\w+)(?:\.(?:"[^"]*"|\w+))?)`;
  return text
    .replace(new RegExp(String.raw`::${type}(?:\(\d+(?:,\s*\d+)?\))?(?:\[\])*`, 'g'), '')
    .replace(/[()\s]/g, '');
}
