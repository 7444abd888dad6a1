import fc from 'fast-check';
import { expect, test } from 'vitest';
import { savedBy, savedFile } from '../../protocols/redis/fixture.ts';
import { type RdbKey, RdbReader } from '../../protocols/redis/rdb-reader.ts';
import { FactsTaker } from './fingerprint.ts';
import { KeyDigest } from './value-digest.ts';

const key = (kind: RdbKey['kind']): RdbKey => ({
  ...{ database: 0, name: Buffer.from('key'), kind, type: 0, since: 1, expiresAtMs: undefined },
});

function digestOf(kind: RdbKey['kind'], feed: (digest: KeyDigest) => void): string {
  const digest = new KeyDigest();
  digest.begin(key(kind));
  feed(digest);
  return digest.end().toString('hex');
}

const pairs = fc.uniqueArray(fc.tuple(fc.uint8Array({ maxLength: 20 }), fc.uint8Array({ maxLength: 20 })), {
  selector: ([name]) => Buffer.from(name).toString('hex'),
});

test('the order of a hash does not count, its fields and values do', () => {
  fc.assert(
    fc.property(pairs, fc.nat(), (all, which) => {
      const of = (list: typeof all): string =>
        digestOf('hash', (digest) => {
          for (const [name, value] of list) digest.field(name, value, undefined);
        });
      expect(of(all.toReversed())).toBe(of(all));
      if (all.length === 0) return;
      const at = which % all.length;
      const [name, value] = all[at];
      expect(of(all.with(at, [name, Buffer.concat([value, Buffer.of(0)])]))).not.toBe(of(all));
      expect(of(all.toSpliced(at, 1))).not.toBe(of(all));
    }),
  );
});

test('strings are the same in parts of any size', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 50_000 }), { maxLength: 6 }), (parts) => {
      const inParts = digestOf('string', (digest) => {
        for (const part of parts) digest.text(part);
      });
      expect(inParts).toBe(digestOf('string', (digest) => digest.text(Buffer.concat(parts))));
    }),
    { numRuns: 30 },
  );
});

test('kind, order of a list, score, and expiry of a field each make another digest', () => {
  const [a, b] = [Buffer.from('a'), Buffer.from('b')];
  const all = [
    digestOf('list', (digest) => {
      for (const one of [a, b]) digest.element(one);
    }),
    digestOf('list', (digest) => {
      for (const one of [b, a]) digest.element(one);
    }),
    digestOf('set', (digest) => {
      for (const one of [a, b]) digest.element(one);
    }),
    digestOf('list', (digest) => digest.element(Buffer.from('ab'))),
    digestOf('zset', (digest) => digest.scored(a, 0)),
    digestOf('zset', (digest) => digest.scored(a, Number.MIN_VALUE)),
    digestOf('hash', (digest) => digest.field(a, b, undefined)),
    digestOf('hash', (digest) => digest.field(a, b, 0n)),
    digestOf('hash', (digest) => digest.field(a, b, 1n)),
  ];
  expect(new Set(all).size).toBe(all.length);
});

test('the same data has the same facts in every release and encoding', () => {
  const [first, ...others] = savedBy.map((name) => {
    const facts = new FactsTaker('full');
    const reader = new RdbReader(facts);
    reader.feed(savedFile(name));
    reader.end();
    // Streams hold times of delivery, and hashes that expire differ where the server cannot have them.
    const comparable = /database \d: (?:strings|lists|sets|sorted sets)$|^database [39]/;
    return facts.facts().filter(({ subject }) => comparable.test(subject) && !/0: strings/.test(subject));
  });
  expect(first.length).toBeGreaterThan(10);
  for (const other of others) expect(other).toEqual(first);
});
