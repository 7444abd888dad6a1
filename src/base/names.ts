/**
 * File names without loss. POSIX names are bytes; most are UTF-8. Inside Holdfast a name is a string in which each byte
 * that is not part of valid UTF-8 stands as a lone surrogate U+DC80–U+DCFF (the scheme of Python's PEP 383), so that any
 * name survives a round trip and ordinary names cost nothing.
 */
import { view } from './bytes.ts';

/** Decodes a raw name. Linear time; an ordinary name is one native call. */
export function decodeName(raw: Uint8Array): string {
  const bytes = view(raw);
  const text = bytes.toString('utf8');
  if (!text.includes('\ufffd')) return text;
  return Buffer.from(text, 'utf8').equals(bytes) ? text : decodeBroken(bytes);
}

/** The bytes of a name made by `decodeName`. Gives a string back unchanged when plain UTF-8 is enough for system calls. */
export function encodeName(name: string): Buffer {
  if (name.isWellFormed()) return Buffer.from(name, 'utf8');
  const parts: Buffer[] = [];
  for (const char of name) {
    const code = char.codePointAt(0)!;
    parts.push(code >= 0xdc80 && code <= 0xdcff ? Buffer.from([code - 0xdc00]) : Buffer.from(char, 'utf8'));
  }
  return Buffer.concat(parts);
}

/** A path as node:fs wants it: the string itself if it is well-formed, raw bytes otherwise. */
export function systemPath(path: string): string | Buffer {
  return path.isWellFormed() ? path : encodeName(path);
}

/** Order of names in restic trees and in Go: by bytes. Below U+D800 that is the order of UTF-16 units, without encoding. */
export function compareNames(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const [one, other] = [a.charCodeAt(at), b.charCodeAt(at)];
    if (one === other) continue;
    return one < 0xd800 && other < 0xd800 ? one - other : encodeName(a).compare(encodeName(b));
  }
  return a.length - b.length;
}

/** A name as a person may see it: no control characters, no broken bytes. For display only. */
export function printableName(name: string): string {
  return name.replace(/[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (char) => {
    const code = char.codePointAt(0)!;
    if (code >= 0xdc80 && code <= 0xdcff) return `\\x${(code - 0xdc00).toString(16)}`;
    return `\\u{${code.toString(16)}}`;
  });
}

function sequenceLength(bytes: Buffer, at: number): number {
  const lead = bytes[at];
  if (lead < 0x80) return 1;
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  const text = bytes.toString('utf8', at, at + length);
  return !text.includes('\ufffd') || Buffer.from(text, 'utf8').equals(bytes.subarray(at, at + length)) ? length : 0;
}

function decodeBroken(bytes: Buffer): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    text += length === 0 ? String.fromCharCode(0xdc00 + bytes[at]) : bytes.toString('utf8', at, at + length);
    at += length || 1;
  }
  return text;
}
