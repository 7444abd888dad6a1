import { constants, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { zstdFrameBytes } from '../format/zstd-frame.ts';
import { compress, decompress } from './zstd.ts';

const withChecksum = { [constants.ZSTD_c_checksumFlag]: 1 };
const contents = fc.oneof(
  fc.uint8Array({ maxLength: 3000 }),
  fc
    .record({ byte: fc.nat(255), length: fc.nat(400_000) })
    .map(({ byte, length }) => new Uint8Array(length).fill(byte)),
  fc
    .record({ seed: fc.uint8Array({ minLength: 1, maxLength: 40 }), length: fc.nat(200_000) })
    .map(({ seed, length }) => Uint8Array.from({ length }, (_, i) => seed[(i * i) % seed.length])),
);

describe('zstd', () => {
  test('what is compressed comes back, at every level, one after the other in one context', () => {
    fc.assert(
      fc.property(contents, fc.constantFrom(1, 2, 3, 9), (plain, level) => {
        const frame = compress(plain, level);
        expect(zstdFrameBytes(frame)).toBe(frame.byteLength);
        expect(frame.equals(zstdCompressSync(plain, { params: { [constants.ZSTD_c_compressionLevel]: level } }))).toBe(
          true,
        );
        expect(decompress(frame, plain.byteLength).equals(plain)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  test('a frame that is cut anywhere is refused, and the next whole one still opens', () => {
    fc.assert(
      fc.property(contents, fc.boolean(), fc.double({ min: 0, max: 1, noNaN: true }), (plain, checked, part) => {
        const frame = zstdCompressSync(plain, checked ? { params: withChecksum } : {});
        const cut = frame.subarray(0, Math.floor(part * frame.byteLength));
        if (cut.byteLength === frame.byteLength) return;
        expect(zstdFrameBytes(cut)).toBe(undefined);
        if (cut.byteLength > 0) expect(() => decompress(cut, plain.byteLength)).toThrow();
        expect(decompress(frame, plain.byteLength).equals(plain)).toBe(true);
      }),
    );
  });

  test('a frame with a wrong bit is never taken for another, and the next good one still opens', () => {
    fc.assert(
      fc.property(contents, fc.nat(), fc.nat(7), (plain, at, bit) => {
        const frame = zstdCompressSync(plain, { params: withChecksum });
        const flipped = Buffer.from(frame);
        flipped[at % frame.byteLength] ^= 1 << bit;
        let opened: Buffer | undefined;
        try {
          opened = decompress(flipped, plain.byteLength);
        } catch {}
        // Bits of the header may be unused, and one says whether there is a checksum at all.
        if (opened && at % frame.byteLength > 4) expect(opened.equals(plain)).toBe(true);
        expect(decompress(frame, plain.byteLength).equals(plain)).toBe(true);
      }),
    );
  });

  test('more than was announced is refused', () => {
    const frame = compress(new Uint8Array(1000).fill(7), 2);
    expect(() => decompress(frame, 999)).toThrow();
    expect(decompress(frame, 1000).byteLength).toBe(1000);
    expect(decompress(frame, 5000).byteLength).toBe(1000);
  });
});
