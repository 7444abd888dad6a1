import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareNames, decodeName, encodeName, printableName, systemPath } from './names.ts';

const anyBytes = fc.uint8Array({ maxLength: 40 });
/** Mostly text, with broken bytes strewn in: where decoders go wrong. */
const nearlyText = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary' }).map((text) => Buffer.from(text.toWellFormed())),
      anyBytes,
    ),
    { maxLength: 6 },
  )
  .map((parts) => Buffer.concat(parts));

test('any bytes survive as a name', () => {
  fc.assert(fc.property(fc.oneof(anyBytes, nearlyText), (bytes) => encodeName(decodeName(bytes)).equals(bytes)));
});

test('valid UTF-8 is taken as text, and a replacement character for itself', () => {
  expect(decodeName(Buffer.from('ünï\u{1f600}\ufffd'))).toBe('ünï\u{1f600}\ufffd');
});

test('a byte that is no UTF-8 stands as a lone surrogate', () => {
  expect(decodeName(Buffer.from([0x61, 0xff, 0x62]))).toBe('a\udcffb');
});

test('names are ordered by their bytes', () => {
  fc.assert(
    fc.property(nearlyText, nearlyText, (a, b) => {
      expect(Math.sign(compareNames(decodeName(a), decodeName(b)))).toBe(Math.sign(Buffer.compare(a, b)));
    }),
  );
});

describe('for the system', () => {
  test('a well-formed name stays text, another one becomes bytes', () => {
    expect(systemPath('/ü')).toBe('/ü');
    expect(systemPath('/\udcff')).toEqual(Buffer.from([0x2f, 0xff]));
  });
});

test('what a person sees has no control characters and no tricks with direction', () => {
  expect(printableName('a\nb\u001b[0m\u202etxt\udcff')).toBe('a\\u{a}b\\u{1b}[0m\\u{202e}txt\\xff');
});
