/** BSON documents taken apart without becoming JavaScript objects, which would put some names in another order. Source: bsonspec.org 1.1. */
import { deserialize } from 'bson';
import { HoldfastError } from '../../base/errors.ts';

export interface RawElement {
  readonly type: number;
  readonly name: string;
  /** As stored, without type and name. */
  readonly value: Buffer;
}

const document = 3;
const array = 4;
const fixedBytes: Readonly<Record<number, number>> = {
  1: 8,
  6: 0,
  7: 12,
  8: 1,
  9: 8,
  10: 0,
  16: 4,
  17: 8,
  18: 8,
  19: 16,
  127: 0,
  255: 0,
};

/** In order, also where a name comes twice. Throws `repository.damaged` for what is no BSON. */
export function elementsOf(bytes: Buffer): RawElement[] {
  const found: RawElement[] = [];
  const end = bytes.length - 1;
  if (bytes.length < 5 || bytes.readInt32LE(0) !== bytes.length || bytes[end] !== 0) throw malformed();
  for (let at = 4; at < end; ) {
    const from = afterText(bytes, at + 1);
    const length = valueLength(bytes, bytes[at], from);
    if (length < 0 || from + length > end) throw malformed();
    const name = bytes.toString('utf8', at + 1, from - 1);
    found.push({ type: bytes[at], name, value: bytes.subarray(from, from + length) });
    at = from + length;
  }
  return found;
}

/** The value of a field as stored. */
export function rawField(bytes: Buffer, name: string): Buffer | undefined {
  return elementsOf(bytes).find((element) => element.name === name)?.value;
}

/** The documents of a field that is an array of documents. */
export function rawDocuments(bytes: Buffer, name: string): Buffer[] {
  const field = elementsOf(bytes).find((element) => element.name === name);
  if (field?.type !== array) return [];
  return elementsOf(field.value).map(({ type, value }) => {
    if (type !== document) throw malformed();
    return value;
  });
}

/** Values that serialise to the very same bytes: documents as maps, which keep their order, and every number of its type. */
export function orderedValue(bytes: Buffer): Map<string, unknown> {
  return new Map(elementsOf(bytes).map((element) => [element.name, elementValue(element)]));
}

function elementValue({ type, value }: RawElement): unknown {
  if (type === document) return orderedValue(value);
  if (type === array) return elementsOf(value).map(elementValue);
  const alone = Buffer.alloc(value.length + 8);
  alone.writeInt32LE(alone.length);
  alone[4] = type;
  alone[5] = 0x76;
  value.copy(alone, 7);
  return (deserialize(alone, { promoteValues: false, bsonRegExp: true }) as { v: unknown }).v;
}

function valueLength(bytes: Buffer, type: number, at: number): number {
  const fixed = fixedBytes[type];
  if (fixed !== undefined) return fixed;
  if (type === 11) return afterText(bytes, afterText(bytes, at)) - at;
  if (at + 4 > bytes.length) throw malformed();
  const length = bytes.readInt32LE(at);
  if (length < 0) throw malformed();
  if (type === document || type === array || type === 15) return length;
  if (type === 2 || type === 13 || type === 14) return 4 + length;
  if (type === 5) return 5 + length;
  if (type === 12) return 4 + length + 12;
  throw malformed();
}

/** Where what follows a text that ends with a zero begins. */
function afterText(bytes: Buffer, at: number): number {
  const zero = bytes.indexOf(0, at);
  if (zero < 0) throw malformed();
  return zero + 1;
}

function malformed(): HoldfastError {
  return new HoldfastError({
    code: 'repository.damaged',
    message: 'a document is no BSON',
    remedy: 'Check the repository (holdfast repo check --read-data), and restore an older snapshot.',
  });
}
