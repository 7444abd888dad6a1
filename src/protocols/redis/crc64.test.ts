import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Crc64 } from './crc64.ts';

test('the check value of the polynomial comes out', () => {
  expect(
    Buffer.from(new Crc64().update(Buffer.from('123456789')).bytes())
      .reverse()
      .toString('hex'),
  ).toBe('e9c6d914c4b8d9ca');
});

test('bytes in any pieces have the same checksum, and with it behind them the checksum 0', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (pieces) => {
      const whole = Buffer.concat(pieces);
      const inPieces = new Crc64();
      for (const piece of pieces) inPieces.update(piece);
      const checksum = new Crc64().update(whole).bytes();
      expect(inPieces.bytes()).toEqual(checksum);
      expect(inPieces.update(checksum).isZero).toBe(true);
    }),
  );
});
