import {
  Binary,
  BSONRegExp,
  Code,
  Decimal128,
  Double,
  Int32,
  Long,
  MaxKey,
  ObjectId,
  serialize,
  Timestamp,
} from 'bson';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasCode } from '../../base/errors.ts';
import { elementsOf, orderedValue, rawDocuments, rawField } from './elements.ts';

const scalar = fc.oneof(
  fc.double().map((x) => new Double(x)),
  fc.integer().map((x) => new Int32(x)),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((x) => Long.fromBigInt(x)),
  fc.string(),
  fc.boolean(),
  fc.constant(null),
  fc.uint8Array().map((x) => new Binary(x)),
  fc.date({ noInvalidDate: true }),
  fc.constant(new MaxKey()),
  fc.constant(Decimal128.fromString('-1.50E+3')),
  fc.constant(new BSONRegExp('a.b', 'im')),
  fc.constant(new Code('f()', { scope: 1 })),
  fc.constant(new ObjectId()),
  fc.constant(Timestamp.fromBits(7, 9)),
);
const name = fc.string().filter((text) => !text.includes('\0'));
const { value } = fc.letrec((tie) => ({
  value: fc.oneof({ depthSize: 'small' }, scalar, fc.array(tie('value'), { maxLength: 4 }), tie('map')),
  map: fc
    .array(fc.tuple(fc.oneof(name, fc.nat(20).map(String)), tie('value')), { maxLength: 5 })
    .map((all) => new Map(all)),
}));
const documents = fc.array(fc.tuple(name, value), { maxLength: 6 }).map((all) => Buffer.from(serialize(new Map(all))));

describe('BSON taken apart', () => {
  it('is put together again to the same bytes, whatever the names and their order', () => {
    fc.assert(
      fc.property(documents, (bytes) => {
        expect(Buffer.from(serialize(orderedValue(bytes))).equals(bytes)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  it('gives fields and documents as they are stored', () => {
    const inner = [serialize({ 2: 'b', 1: 'a' }), serialize({})].map((one) => Buffer.from(one));
    const bytes = Buffer.from(serialize({ a: 1, list: [{ 2: 'b', 1: 'a' }, {}] }));
    expect(rawDocuments(bytes, 'list')).toEqual(inner);
    expect(rawDocuments(bytes, 'missing')).toEqual([]);
    expect(rawField(bytes, 'a')).toEqual(Buffer.from([1, 0, 0, 0]));
  });

  it('that is garbled is refused', () => {
    const bytes = Buffer.from(
      serialize({ text: 'abc', list: [1, 2], code: new Code('f', {}), inner: { x: new Binary(Buffer.alloc(3)) } }),
    );
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.uint8Array({ minLength: 1, maxLength: 5 }), (at, put) => {
        const garbled = Buffer.from(bytes);
        garbled.set(put.subarray(0, garbled.length - at), at);
        try {
          elementsOf(garbled);
        } catch (error) {
          expect(hasCode(error, 'repository.damaged'), String(error)).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
