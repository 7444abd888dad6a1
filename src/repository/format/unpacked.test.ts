import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeUnpacked, encodeUnpacked } from './unpacked.ts';

const damaged = expect.objectContaining({ code: 'repository.damaged' });

describe('the envelope of unpacked files', () => {
  test.each([1, 2])('gives back what was put into it, in version %i', (version) => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        const bytes = Buffer.from(`{"a":${json}}`);
        expect(Buffer.from(decodeUnpacked(encodeUnpacked(bytes, version))).equals(bytes)).toBe(true);
      }),
    );
  });

  test('is a 2 and zstd in version 2, nothing in version 1', () => {
    const json = Buffer.from('{}');
    expect(encodeUnpacked(json, 1)).toBe(json);
    expect(Buffer.from(encodeUnpacked(json, 2)).toString('hex')).toMatch(/^0228b52ffd/);
    expect(decodeUnpacked(Buffer.from('[1]'))).toEqual(Buffer.from('[1]'));
  });

  test('that opens to more than any such file has is not opened further', () => {
    const bomb = encodeUnpacked(new Uint8Array((256 << 20) + 1), 2);
    expect(bomb.byteLength).toBeLessThan(100_000);
    expect(() => decodeUnpacked(bomb)).toThrow(damaged);
  });

  test('cut short, or empty, is damaged', () => {
    const frame = encodeUnpacked(Buffer.from('{"a":1}'.repeat(100)), 2);
    for (let length = 0; length < frame.byteLength; length++) {
      expect(() => decodeUnpacked(frame.subarray(0, length))).toThrow(damaged);
    }
  });

  test('of another encoding is not understood', () => {
    for (const first of [0, 1, 3, 0x20, 0xff]) {
      const bytes = Buffer.concat([Uint8Array.of(first), zstdCompressSync('{}')]);
      expect(() => decodeUnpacked(bytes)).toThrow(expect.objectContaining({ code: 'repository.unsupported' }));
    }
  });
});
