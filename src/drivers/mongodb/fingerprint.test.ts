import { serialize } from 'bson';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Catalogue } from './catalogue.ts';
import { FactsTaker } from './fingerprint.ts';

const catalogue: Catalogue = [
  {
    database: 'shop',
    name: 'orders',
    kind: 'collection',
    options: {},
    indexes: [{ v: 2, key: { a: 1, b: -1 }, name: 'i' }],
  },
];

function digestOf(documents: readonly object[]): string {
  const taker = new FactsTaker('full');
  for (const one of documents) taker.add('shop', 'orders', [serialize(one)]);
  return taker.facts(catalogue).find(({ measure }) => measure === 'digest')!.value;
}

describe('the digest of a collection', () => {
  it('is the same in any order', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ _id: fc.integer(), a: fc.string() })), (documents) => {
        expect(digestOf(documents.toReversed())).toBe(digestOf(documents));
      }),
    );
  });

  it('changes with a value, its type, the order of fields, one document less or one twice', () => {
    const all = [{ _id: 1, a: 1, b: 2 }, { _id: 2 }];
    const others = [
      [{ _id: 1, a: 1, b: 3 }, { _id: 2 }],
      [{ _id: 1, a: 1n, b: 2 }, { _id: 2 }],
      [{ _id: 1, b: 2, a: 1 }, { _id: 2 }],
      [{ _id: 1, a: 1, b: 2 }],
      [...all, { _id: 2 }],
    ];
    for (const other of others) expect(digestOf(other)).not.toBe(digestOf(all));
  });

  it('carries over what does not fit into its lanes', () => {
    expect(digestOf([])).toBe('0'.repeat(64));
    const one = serialize({ _id: 1 });
    const [twice, many] = [new FactsTaker('full'), new FactsTaker('full')];
    twice.add('shop', 'orders', [one, one]);
    many.add(
      'shop',
      'orders',
      Array.from({ length: 4 }, () => one),
    );
    const value = (taker: FactsTaker): bigint =>
      BigInt.asUintN(256, littleEndian(taker.tally('shop', 'orders').digest.hex()));
    expect(value(many)).toBe(BigInt.asUintN(256, value(twice) * 2n));
  });
});

describe('facts about indexes', () => {
  it('differ when the order of an index does', () => {
    const turned: Catalogue = [{ ...catalogue[0], indexes: [{ v: 2, key: { b: -1, a: 1 }, name: 'i' }] }];
    const of = (one: Catalogue): string | undefined =>
      new FactsTaker('counts').facts(one).find(({ measure }) => measure === 'index i')?.value;
    expect(of(turned)).not.toBe(of(catalogue));
    expect(of([{ ...catalogue[0], indexes: [{ name: 'i', key: { a: 1, b: -1 }, v: 1, ns: 'shop.orders' }] }])).toBe(
      of(catalogue),
    );
  });
});

function littleEndian(hex: string): bigint {
  return BigInt(`0x${Buffer.from(Buffer.from(hex, 'hex').toReversed()).toString('hex')}`);
}
