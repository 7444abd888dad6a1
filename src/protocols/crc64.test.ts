import fc from 'fast-check';
import { expect, test } from 'vitest';
import { crc64Redis, crc64Xz } from './crc64.ts';

const kinds = [
  ['CRC-64/XZ', crc64Xz, '995dc9bbdf1939fa'],
  ['of Redis', crc64Redis, 'e9c6d914c4b8d9ca'],
] as const;

test.each(kinds)('the check value comes out: %s', (_, start, known) => {
  const crc = start().update(Buffer.from('123456789'));
  expect(BigInt.asUintN(64, crc.value()).toString(16)).toBe(known);
  expect(Buffer.from(crc.bytes()).reverse().toString('hex')).toBe(known);
});

test.each(kinds)('bytes in any pieces have the same checksum: %s', (_, start) => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (pieces) => {
      const inPieces = start();
      for (const piece of pieces) inPieces.update(piece);
      expect(inPieces.bytes()).toEqual(start().update(Buffer.concat(pieces)).bytes());
    }),
  );
});

test('with its checksum behind it a message of Redis has the checksum 0', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (message) => {
      const crc = crc64Redis().update(message);
      expect(crc.update(crc.bytes()).isZero).toBe(true);
    }),
  );
});
