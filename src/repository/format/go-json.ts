/**
 * Text as Go writes it: encoding/json with its HTML escaping, and strconv.Quote for names, so that what is stored is byte for
 * byte what restic stores. Strings follow `base/names.ts`: a lone surrogate U+DC80–U+DCFF is a byte that is not UTF-8.
 */
import { decodeName, encodeName } from '../../base/names.ts';
import { isPlainPrintable, isPrintable } from './go-print.ts';
import { malformed } from './malformed.ts';

/** Nothing here is escaped by either. */
const plain = /^[ !#-%'-;=?-[\]-~]*$/;
const escapedForHtml = /[<>&\u2028\u2029]/g;
/** A lone surrogate as JSON.stringify escapes it, after an even number of backslashes. */
const escapedSurrogate = /(?<!\\)((?:\\\\)*)\\ud[89a-f][0-9a-f]{2}/g;

/** JSON as encoding/json writes it: `<`, `>`, `&`, U+2028 and U+2029 escaped, each byte that is not UTF-8 as \ufffd. */
export function goJson(value: unknown): string {
  const json = JSON.stringify(value).replace(escapedForHtml, unicodeEscape);
  return json.includes('\\ud') ? json.replace(escapedSurrogate, '$1\\ufffd') : json;
}

/** A string as encoding/json writes it. */
export function goString(text: string): string {
  return plain.test(text) ? `"${text}"` : goJson(text);
}

/** A name as restic stores it in a tree: what strconv.Quote makes of it, without its quotes, as a JSON string. */
export function goName(name: string): string {
  return plain.test(name) || isPlainPrintable(name) ? `"${name}"` : goJson(goQuote(name));
}

const shortEscapes: ReadonlyMap<string, number> = new Map([
  ['a', 7],
  ['b', 8],
  ['t', 9],
  ['n', 10],
  ['v', 11],
  ['f', 12],
  ['r', 13],
  ['"', 34],
  ["'", 39],
  ['\\', 92],
]);
const quotedShort: ReadonlyMap<string, string> = new Map(
  [...shortEscapes]
    .filter(([letter]) => letter !== "'")
    .map(([letter, code]) => [String.fromCharCode(code), `\\${letter}`]),
);

/** A name as strconv.Quote writes it, without the quotes. */
export function goQuote(name: string): string {
  let quoted = '';
  for (const char of name) quoted += quotedShort.get(char) ?? (isPrintable(char) ? char : escaped(char));
  return quoted;
}

function escaped(char: string): string {
  const code = char.codePointAt(0)!;
  if (code >= 0xdc80 && code <= 0xdcff) return `\\x${hex(code - 0xdc00, 2)}`;
  if (code < 0x20 || code === 0x7f) return `\\x${hex(code, 2)}`;
  return code < 0x10000 ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`;
}

function unicodeEscape(char: string): string {
  return `\\u${hex(char.charCodeAt(0), 4)}`;
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0');
}

const escapeForm = /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|([abfnrtv\\'"]))/y;

/** The inverse of `goQuote`: what strconv.Unquote gives. `repository.damaged` if an escape is none of Go's. */
export function goUnquote(quoted: string): string {
  if (!quoted.includes('\\')) return quoted;
  const parts: Uint8Array[] = [];
  for (let at = 0; at < quoted.length; ) {
    const next = quoted.indexOf('\\', at);
    const end = next < 0 ? quoted.length : next;
    if (end > at) parts.push(encodeName(quoted.slice(at, end)));
    if (next < 0) break;
    escapeForm.lastIndex = next;
    const match = escapeForm.exec(quoted);
    if (!match) throw malformed('a name in a tree', 'an escape is not known');
    parts.push(escapedBytes(match));
    at = escapeForm.lastIndex;
  }
  return decodeName(Buffer.concat(parts));
}

function escapedBytes([, hexByte, short, long, octal, letter]: RegExpExecArray): Uint8Array {
  if (hexByte !== undefined) return Uint8Array.of(Number.parseInt(hexByte, 16));
  if (octal !== undefined) return Uint8Array.of(Number.parseInt(octal, 8));
  if (letter !== undefined) return Uint8Array.of(shortEscapes.get(letter)!);
  const code = Number.parseInt(short ?? long, 16);
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) throw malformed('a name in a tree', 'not a character');
  return Buffer.from(String.fromCodePoint(code), 'utf8');
}
