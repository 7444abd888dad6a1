/** Definitions (options, indexes) as values and text, with nothing lost or put in another order. */
import { type Document, deserialize, EJSON, serialize } from 'bson';
import { equalBytes } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';

/**
 * A definition with every type kept. JavaScript puts names that look like numbers first and keeps one of equal names: a
 * definition it would change is refused (`source.unsupported`) rather than stored as something else.
 */
export function definitionOf(raw: Uint8Array, what: string): Document {
  const value = deserialize(raw, { promoteValues: false, bsonRegExp: true });
  if (equalBytes(serialize(value), raw)) return value;
  throw new HoldfastError({
    code: 'source.unsupported',
    message: `the definition of ${what} has names that cannot be kept in order (numbers as names of fields, or one name twice)`,
    remedy: 'Leave the collection out with «excludeCollections», and back it up with mongodump.',
  });
}

/** Canonical Extended JSON v2, as mongodump writes it. */
export function toText(value: unknown): string {
  return EJSON.stringify(value, { relaxed: false });
}

/** Values with every type kept; what `toText` wrote. */
export function fromText(text: string): Document {
  return EJSON.parse(text, { relaxed: false }) as Document;
}

/** The same text for the same definition, in whatever order the server lists its fields; inside of a field order counts. */
export function normalText(fields: Document, leaveOut: readonly string[]): string {
  const names = Object.keys(fields)
    .filter((name) => !leaveOut.includes(name))
    .toSorted((a, b) => (a < b ? -1 : 1));
  return toText(Object.fromEntries(names.map((name) => [name, fields[name] as unknown])));
}
