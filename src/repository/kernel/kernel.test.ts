import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { blockBytes, createKernel } from './kernel.ts';

const kernel = createKernel();

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x00${Buffer.from(bytes).reverse().toString('hex')}`);
}

/** RFC 8439 §2.5.1, in the largest numbers there are. */
function plainPoly1305(r: Uint8Array, s: Uint8Array, message: Uint8Array): string {
  const multiplier = littleEndian(r) & 0x0ffffffc0ffffffc0ffffffc0fffffffn;
  let sum = 0n;
  for (let i = 0; i < message.byteLength; i += 16) {
    const block = Buffer.concat([message.subarray(i, i + 16), Buffer.of(1)]);
    sum = ((sum + littleEndian(block)) * multiplier) % ((1n << 130n) - 5n);
  }
  const tag = (sum + littleEndian(s)) & ((1n << 128n) - 1n);
  return Buffer.from(tag.toString(16).padStart(32, '0'), 'hex').reverse().toString('hex');
}

function poly1305(r: Uint8Array, s: Uint8Array, message: Uint8Array): string {
  kernel.macStart(r);
  for (let from = 0; from < message.byteLength; from += blockBytes) {
    const part = message.subarray(from, from + blockBytes);
    kernel.block.set(part);
    kernel.macBlock(part.byteLength);
  }
  return Buffer.from(kernel.macFinish(s)).toString('hex');
}

const hex = (text: string): Uint8Array => Buffer.from(text.replaceAll(' ', ''), 'hex');
const zeros = '00'.repeat(16);
const ones = 'ff'.repeat(16);

describe('Poly1305', () => {
  // RFC 8439 §2.5.2 and appendix A.3, vectors 7 to 11: carries, and sums just around 2^130 − 5.
  test.each([
    [
      '85d6be7857556d337f4452fe42d506a8',
      '0103808afb0db2fd4abff6af4149f51b',
      Buffer.from('Cryptographic Forum Research Group').toString('hex'),
      'a8061dc1305136c6c22b8baf0c0127a9',
    ],
    [`02${'00'.repeat(15)}`, zeros, ones, `03${'00'.repeat(15)}`],
    [`02${'00'.repeat(15)}`, ones, `02${'00'.repeat(15)}`, `03${'00'.repeat(15)}`],
    [`01${'00'.repeat(15)}`, zeros, `${ones}f0${'ff'.repeat(15)}11${'00'.repeat(15)}`, `05${'00'.repeat(15)}`],
    [`01${'00'.repeat(15)}`, zeros, `${ones}fb${'fe'.repeat(15)}${'01'.repeat(16)}`, zeros],
    [`02${'00'.repeat(15)}`, zeros, `fd${'ff'.repeat(15)}`, `fa${'ff'.repeat(15)}`],
    [
      `0100000000000000 0400000000000000`,
      zeros,
      'e33594d7505e43b900000000000000003394d7505e4379cd01000000000000000000000000000000000000000000000001000000000000000000000000000000',
      '14000000000000005500000000000000',
    ],
    [
      `0100000000000000 0400000000000000`,
      zeros,
      'e33594d7505e43b900000000000000003394d7505e4379cd010000000000000000000000000000000000000000000000',
      `13${'00'.repeat(15)}`,
    ],
  ])('the tag of RFC 8439: r %s, s %s', (r, s, message, tag) => {
    expect(poly1305(hex(r), hex(s), hex(message))).toBe(tag);
    expect(plainPoly1305(hex(r), hex(s), hex(message))).toBe(tag);
  });

  test('agrees with plain arithmetic on keys and messages of any kind', () => {
    const bytes16 = fc.oneof(
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.constant(hex(ones)),
      fc.constant(hex(zeros)),
    );
    const message = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ minLength: 500, maxLength: 1400, size: 'max' }),
      fc.nat(1400).map((length) => new Uint8Array(length).fill(0xff)),
    );
    fc.assert(
      fc.property(bytes16, bytes16, message, (r, s, text) => {
        expect(poly1305(r, s, text)).toBe(plainPoly1305(r, s, text));
      }),
      { numRuns: 1000 },
    );
  });

  test('agrees with plain arithmetic on messages longer than the kernel takes at once', () => {
    const message = new Uint8Array(2 * blockBytes + 77).map((_, i) => (i * 7919) >> 5);
    const r = new Uint8Array(16).fill(0xab);
    for (const length of [blockBytes - 1, blockBytes, blockBytes + 1, blockBytes + 511, 2 * blockBytes + 77]) {
      const part = message.subarray(0, length);
      expect(poly1305(r, r, part)).toBe(plainPoly1305(r, r, part));
      const all = hex('ff'.repeat(length));
      expect(poly1305(hex(ones), r, all)).toBe(plainPoly1305(hex(ones), r, all));
    }
  });
});

test('a tag does not depend on the parts a message comes in', () => {
  const message = new Uint8Array(4000).map((_, i) => 255 - (i % 3));
  const parts = fc.array(fc.nat(130), { maxLength: 20 });
  fc.assert(
    fc.property(parts, (blocks) => {
      let at = 0;
      kernel.macStart(hex(ones));
      for (const count of [...blocks, 300]) {
        const part = message.subarray(at, at + count * 16);
        kernel.block.set(part);
        kernel.macBlock(part.byteLength);
        at += part.byteLength;
      }
      const tag = Buffer.from(kernel.macFinish(hex(ones))).toString('hex');
      expect(tag).toBe(plainPoly1305(hex(ones), hex(ones), message));
    }),
  );
});

test('counters count in 128 bits, most significant byte first', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.bigInt(0n, (1n << 128n) - 1n),
        fc.bigInt(1n, 100n).map((n) => (1n << 128n) - n),
      ),
      fc.nat(100_000),
      fc.integer({ min: 1, max: 100 }),
      (start, first, count) => {
        const block = (n: bigint): string => (n & ((1n << 128n) - 1n)).toString(16).padStart(32, '0');
        const expected = Array.from({ length: count }, (_, i) => block(start + BigInt(first + i))).join('');
        expect(Buffer.from(kernel.fillCounters(hex(block(start)), first, count)).toString('hex')).toBe(expected);
      },
    ),
  );
  const almost = hex('00ffffffffffffffffffffffffffff00');
  expect(Buffer.from(kernel.fillCounters(almost, 255, 2)).toString('hex')).toBe(
    '00ffffffffffffffffffffffffffffff01000000000000000000000000000000',
  );
  expect(() => kernel.fillCounters(almost, 0, blockBytes / 16 + 1)).toThrow();
});

test('a single byte that is not zero is seen wherever it lies', () => {
  const data = new Uint8Array(new SharedArrayBuffer(blockBytes + 131));
  expect(kernel.isZero(data)).toBe(true);
  expect(kernel.isZero(new Uint8Array())).toBe(true);
  for (const at of [0, 1, 63, 64, blockBytes - 1, blockBytes, blockBytes + 130]) {
    data[at] = 128;
    expect(kernel.isZero(data)).toBe(false);
    expect(kernel.isZero(data.subarray(at + 1))).toBe(true);
    data[at] = 0;
  }
});

test('the kernels of two threads, or two in one, do not disturb each other', () => {
  const other = createKernel();
  kernel.macStart(hex(ones));
  kernel.block.fill(1, 0, 16);
  kernel.macBlock(16);
  other.macStart(hex(zeros));
  other.macBlock(16);
  other.macFinish(hex(zeros));
  expect(Buffer.from(kernel.macFinish(hex(zeros))).toString('hex')).toBe(
    plainPoly1305(hex(ones), hex(zeros), new Uint8Array(16).fill(1)),
  );
});
