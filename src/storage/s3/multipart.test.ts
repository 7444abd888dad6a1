import fc from 'fast-check';
import { expect, it } from 'vitest';
import { slicesOf } from './multipart.ts';

it('Slices are the body again, each of the size but the last', () => {
  const sizes = fc.array(fc.nat(40), { maxLength: 12 });
  fc.assert(
    fc.property(sizes, fc.integer({ min: 1, max: 30 }), (lengths, size) => {
      let next = 0;
      const parts = lengths.map((length) => Uint8Array.from({ length }, () => next++));
      const slices = [...slicesOf(parts, size)].map((slice) => Buffer.concat(slice));
      expect(Buffer.concat(slices)).toEqual(Buffer.concat(parts));
      expect(slices.slice(0, -1).every((slice) => slice.byteLength === size)).toBe(true);
      expect(slices.every((slice) => slice.byteLength > 0)).toBe(true);
    }),
  );
});
