/** Text as Go writes it: encoding/json with HTML escaping, and strconv.Quote for names. So that trees are restic's own, byte for byte. */
import { view } from '../../base/bytes.ts';
import { decodeName, encodeName } from '../../base/names.ts';
import { malformed } from './malformed.ts';

const plain = /^[A-Za-z0-9 _.,:;=+@%^~#$!?*()[\]{}|/'-]*$/;
const special = /[<>&\u2028\u2029]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** A string in JSON as encoding/json writes it: `<`, `>`, `&`, U+2028 and U+2029 escaped, bytes that are not UTF-8 as \ufffd. */
export function goString(text: string): string {
  if (plain.test(text)) return `"${text}"`;
  // JSON.stringify has escaped lone surrogates already; encoding/json writes U+FFFD for such bytes.
  return JSON.stringify(text.replace(special, (char) => (char >= '\ud800' && char <= '\udfff' ? '\ufffd\u0000' : char)))
    .replaceAll('\ufffd\\u0000', '\\ufffd')
    .replace(/[<>&\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Go's unicode.IsPrint: letters, marks, numbers, punctuation, symbols and the ASCII space. */
const printable = /[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u;
const shortEscapes: Record<string, string> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '"': '\\"',
  '\\': '\\\\',
};

function quoteChar(char: string): string {
  const short = shortEscapes[char];
  if (short !== undefined) return short;
  const code = char.codePointAt(0)!;
  if (code >= 0xdc80 && code <= 0xdcff) return `\\x${(code - 0xdc00).toString(16).padStart(2, '0')}`;
  if (printable.test(char)) return char;
  if (code < 0x20 || code === 0x7f) return `\\x${code.toString(16).padStart(2, '0')}`;
  if (code < 0x10000) return `\\u${code.toString(16).padStart(4, '0')}`;
  return `\\U${code.toString(16).padStart(8, '0')}`;
}

/** A name as strconv.Quote writes it, without the quotes. */
export function goQuote(name: string): string {
  if (plain.test(name)) return name;
  let quoted = '';
  for (const char of name) quoted += quoteChar(char);
  return quoted;
}

const escapeForm = /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|([abfnrtv\\'"]))/y;
const shortValues: Record<string, number> = {
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
  '\\': 92,
  "'": 39,
  '"': 34,
};

/** The inverse of `goQuote`: what strconv.Unquote gives. */
export function goUnquote(quoted: string): string {
  if (!quoted.includes('\\')) return quoted;
  const parts: Uint8Array[] = [];
  for (let at = 0; at < quoted.length; ) {
    const next = quoted.indexOf('\\', at);
    if (next !== at) {
      parts.push(encodeName(quoted.slice(at, next < 0 ? quoted.length : next)));
      if (next < 0) break;
    }
    escapeForm.lastIndex = next;
    const match = escapeForm.exec(quoted);
    if (!match) throw malformed('a name in a tree', 'an escape is not known');
    parts.push(escapedBytes(match));
    at = escapeForm.lastIndex;
  }
  return decodeName(view(Buffer.concat(parts)));
}

function escapedBytes([, hexByte, short, long, octal, letter]: RegExpExecArray): Uint8Array {
  if (hexByte !== undefined) return Uint8Array.of(Number.parseInt(hexByte, 16));
  if (octal !== undefined) return Uint8Array.of(Number.parseInt(octal, 8) & 0xff);
  if (letter !== undefined) return Uint8Array.of(shortValues[letter]);
  const code = Number.parseInt(short ?? long, 16);
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) throw malformed('a name in a tree', 'not a character');
  return Buffer.from(String.fromCodePoint(code), 'utf8');
}
