import { hash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeName, encodeName } from '../../base/names.ts';
import { goJson, goName, goQuote, goString, goUnquote } from './go-json.ts';
import { isPrintable } from './go-print.ts';

const anyName = fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => decodeName(bytes));
const anyText = fc.oneof(anyName, fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' }));

describe('strings as encoding/json writes them', () => {
  test('are read by any reader of JSON as what they were, bytes that are not UTF-8 as U+FFFD', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(JSON.parse(goString(text))).toBe(text.toWellFormed());
        expect(goString(text)).not.toMatch(/[<>&\u2028\u2029]/);
        expect(goString(text).isWellFormed()).toBe(true);
      }),
    );
  });

  test.each([
    ['plain', '"plain"'],
    ['<a href="x">&', '"\\u003ca href=\\"x\\"\\u003e\\u0026"'],
    ['\u2028\u2029', '"\\u2028\\u2029"'],
    ['\b\f\n\r\t\v\0\x1f\x7f\x80', '"\\b\\f\\n\\r\\t\\u000b\\u0000\\u001f\x7f\x80"'],
    ['\\udc80', '"\\\\udc80"'],
    ['\\\udc80\udcff', '"\\\\\\ufffd\\ufffd"'],
    ['😀\ufffd', '"😀\ufffd"'],
    ["'/`~", '"\'/`~"'],
  ])('%j becomes %s', (text, json) => {
    expect(goString(text)).toBe(json);
    expect(goJson([text])).toBe(`[${json}]`);
  });
});

describe('names as strconv.Quote writes them', () => {
  test('come back as they were, whatever their bytes', () => {
    fc.assert(
      fc.property(anyName, (name) => {
        expect(goUnquote(goQuote(name))).toBe(name);
        expect(goUnquote(JSON.parse(goName(name)))).toBe(name);
        expect(encodeName(goUnquote(goQuote(name)))).toEqual(encodeName(name));
      }),
    );
  });

  test('and when they are Unicode', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (name) => {
        expect(goUnquote(goQuote(name))).toBe(name);
        expect(goName(name)).toBe(goJson(goQuote(name)));
      }),
    );
  });

  test.each([
    ['quote"back\\', 'quote\\"back\\\\'],
    ["it's", "it's"],
    ['\x07\b\f\n\r\t\v', '\\a\\b\\f\\n\\r\\t\\v'],
    ['\0\x1b\x7f', '\\x00\\x1b\\x7f'],
    ['\x80\xa0\xad', '\\u0080\\u00a0\\u00ad'],
    ['\u{e0001}\u{10ffff}', '\\U000e0001\\U0010ffff'],
    ['\udcff\udc80', '\\xff\\x80'],
    ['漢字é😀', '漢字é😀'],
  ])('%j becomes %s', (name, quoted) => {
    expect(goQuote(name)).toBe(quoted);
  });

  test('escapes that strconv.Unquote knows and Quote does not use are read', () => {
    expect(goUnquote('\\101\\x42\\u0043\\U00000044\\303\\251')).toBe('ABCDé');
    expect(goUnquote('\\xc3\\xa9')).toBe('é');
  });

  test.each(['\\', '\\q', '\\x1', '\\xgg', '\\u12', '\\ud800', '\\U00110000', '\\400', '\\9'])(
    '%s is no escape',
    (quoted) => {
      expect(() => goUnquote(quoted)).toThrow(expect.objectContaining({ code: 'repository.damaged' }));
    },
  );

  test('leave exactly those characters as they are that restic 0.19 left when a file was named after each there is', () => {
    const printable = new Uint8Array(0x110000);
    for (let code = 0; code < printable.length; code++) {
      if (code < 0xd800 || code > 0xdfff) printable[code] = isPrintable(String.fromCodePoint(code)) ? 1 : 0;
    }
    expect(hash('sha256', printable)).toBe('a24a109bc8e347f9490466c59e4160d0dc9dd1006a5be9a4c91af71cd2e7fa99');
  });
});
