import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256Hex } from '../ids.ts';
import { BlobIndex, type BlobType } from './blob-index.ts';

function idOf(number: number): Uint8Array {
  return Buffer.from(sha256Hex(Buffer.from(String(number))), 'hex');
}

test('finds everything that was added, and nothing else, through many growths', () => {
  const index = new BlobIndex();
  const pack = index.addPack('p0');
  for (let i = 0; i < 20_000; i++) {
    index.add('data', idOf(i), 0, { pack, offset: i, length: i + 32, uncompressedLength: i % 3 === 0 ? i * 2 : 0 });
  }
  expect(index.size).toBe(20_000);
  for (let i = 0; i < 20_000; i += 37) {
    const entry = index.find('data', idOf(i));
    expect(index.location(entry)).toEqual({
      pack: 'p0',
      offset: i,
      length: i + 32,
      uncompressedLength: i % 3 === 0 ? i * 2 : 0,
    });
    expect(Buffer.from(index.id(entry))).toEqual(idOf(i));
  }
  expect(index.find('data', idOf(20_001))).toBe(-1);
});

test('keeps data and trees of equal bytes apart', () => {
  const index = new BlobIndex();
  const pack = index.addPack('p');
  index.add('data', idOf(1), 0, { pack, offset: 0, length: 40, uncompressedLength: 0 });
  expect(index.has('tree', idOf(1))).toBe(false);
  index.add('tree', idOf(1), 0, { pack, offset: 40, length: 50, uncompressedLength: 0 });
  expect(index.type(index.find('tree', idOf(1)))).toBe('tree');
  expect(index.storedLength(index.find('data', idOf(1)))).toBe(40);
});

test('a claim is known but has no place until it is fulfilled', () => {
  const index = new BlobIndex();
  expect(index.claim('data', idOf(7))).toBe(true);
  expect(index.claim('data', idOf(7))).toBe(false);
  const entry = index.find('data', idOf(7));
  expect(index.location(entry)).toBeUndefined();
  index.add('data', idOf(7), 0, { pack: index.addPack('p'), offset: 1, length: 33, uncompressedLength: 0 });
  expect(index.location(entry)).toMatchObject({ pack: 'p', offset: 1 });
});

test('the first place of a blob wins', () => {
  const index = new BlobIndex();
  const [first, second] = [index.addPack('a'), index.addPack('b')];
  index.add('data', idOf(1), 0, { pack: first, offset: 1, length: 40, uncompressedLength: 0 });
  index.add('data', idOf(1), 0, { pack: second, offset: 2, length: 40, uncompressedLength: 0 });
  expect(index.location(index.find('data', idOf(1)))?.pack).toBe('a');
  expect(index.packs).toEqual(['a', 'b']);
});

test('behaves like a map for any history', () => {
  const step = fc.record({ number: fc.nat(50), type: fc.constantFrom<BlobType>('data', 'tree'), claim: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const index = new BlobIndex();
      const pack = index.addPack('p');
      const model = new Map<string, number | undefined>();
      steps.forEach(({ number, type, claim }, i) => {
        const key = `${type}${number}`;
        if (claim) {
          expect(index.claim(type, idOf(number))).toBe(!model.has(key));
          if (!model.has(key)) model.set(key, undefined);
        } else {
          index.add(type, idOf(number), 0, { pack, offset: i, length: 32, uncompressedLength: 0 });
          model.set(key, model.get(key) ?? i);
        }
      });
      for (const [key, offset] of model) {
        const entry = index.find(key.slice(0, 4) as BlobType, idOf(Number(key.slice(4))));
        expect(index.location(entry)?.offset).toBe(offset);
      }
      expect(index.size).toBe(model.size);
    }),
    { numRuns: 50 },
  );
});
