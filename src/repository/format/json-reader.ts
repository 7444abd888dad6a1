/**
 * Reads JSON of a known shape straight from bytes. JSON.parse would make a string of every blob id, a number that is off by
 * some of every inode above 2^53, and lose how unknown fields were written. Follows Go's encoding/json where it matters: a
 * `null` leaves a field as it is, the last of equal fields wins, what is not Unicode becomes U+FFFD.
 *
 * Time is linear; no depth is limited by the stack, since only the fields a caller knows are descended into. Memory: what the
 * caller keeps, and for a field it does not know, that field parsed once.
 */
import { view } from '../../base/bytes.ts';
import type { HoldfastError } from '../../base/errors.ts';
import { hexDigitValues } from './hex-digits.ts';
import { malformed } from './malformed.ts';

const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const backslash = 0x5c;
const openList = 0x5b;
const closeList = 0x5d;
const openObject = 0x7b;
const closeObject = 0x7d;
const nullWord = 0x6e756c6c;
const hexIdLength = 64;
const longestShared = 19;
/** A power of two. */
const sharedSlots = 512;
const mostWide = 2n ** 64n - 1n;

export class JsonReader {
  readonly #bytes: Buffer;
  readonly #what: string;
  #at = 0;
  readonly #shared: (string | undefined)[] = new Array(sharedSlots).fill(undefined);

  /** `what` names the document in errors, with its article. */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = view(bytes);
    this.#what = what;
  }

  /** Calls `field` with the name of each field that is not null; it must read the value. */
  object(field: (name: string) => void): void {
    this.#expect(openObject);
    if (this.#skipIf(closeObject)) return;
    do {
      this.#space();
      const name = this.#string();
      this.#expect(colon);
      if (!this.#skipNull()) field(name);
    } while (this.#skipIf(comma));
    this.#expect(closeObject);
  }

  /** Calls `item` before each item; it must read it. */
  list(item: () => void): void {
    this.#expect(openList);
    if (this.#skipIf(closeList)) return;
    do item();
    while (this.#skipIf(comma));
    this.#expect(closeList);
  }

  /** Lets a faster reader of one way to write the next value try; where it gives up, nothing was read. */
  scan<T extends { readonly end: number }>(read: (bytes: Uint8Array, at: number) => T | undefined): T | undefined {
    const result = read(this.#bytes, this.#at);
    if (result) this.#at = result.end;
    return result;
  }

  text(): string {
    this.#space();
    return this.#string();
  }

  flag(): boolean {
    const json = this.other();
    if (json !== 'true' && json !== 'false') throw this.malformed('neither true nor false');
    return json === 'true';
  }

  /** A whole number of 0 to `most`. */
  count(most: number = Number.MAX_SAFE_INTEGER): number {
    const digits = this.#digits();
    const value = digits <= 16 ? this.#number(digits) : Number.POSITIVE_INFINITY;
    if (value > most) throw this.malformed('a number is too large');
    this.#at += digits;
    return value;
  }

  /** A whole number of 64 bits. */
  wide(): bigint {
    const digits = this.#digits();
    const value =
      digits <= 15 ? BigInt(this.#number(digits)) : BigInt(this.#bytes.toString('latin1', this.#at, this.#at + digits));
    if (value > mostWide) throw this.malformed('a number is too large');
    this.#at += digits;
    return value;
  }

  /** An id as 64 lower-case hex digits. */
  id(): string {
    const start = this.#idStart();
    for (let at = start; at < start + hexIdLength; at++) {
      if (hexDigitValues[this.#bytes[at]] > 15) throw this.malformed('an id is not one');
    }
    return this.#bytes.toString('latin1', start, start + hexIdLength);
  }

  /** A list of ids, 32 bytes each. */
  ids(): Uint8Array {
    this.#expect(openList);
    // An id takes 64 digits, two quotes, and a comma or the bracket at the end.
    const end = this.#bytes.indexOf(closeList, this.#at);
    const ids = new Uint8Array(Math.floor(((end < 0 ? this.#at : end) + 1 - this.#at) / (hexIdLength + 3)) * 32);
    let length = 0;
    if (this.#skipIf(closeList)) return ids.subarray(0, 0);
    do {
      if (length === ids.byteLength) throw this.malformed('a list of ids is not one');
      this.idInto(ids, length);
      length += 32;
    } while (this.#skipIf(comma));
    this.#expect(closeList);
    return length === ids.byteLength ? ids : ids.slice(0, length);
  }

  /** An id as 32 bytes. */
  idInto(target: Uint8Array, start: number): void {
    const bytes = this.#bytes;
    let wrong = 0;
    for (let from = this.#idStart(), to = start; to < start + 32; from += 2, to++) {
      const high = hexDigitValues[bytes[from]];
      const low = hexDigitValues[bytes[from + 1]];
      wrong |= high | low;
      target[to] = (high << 4) | low;
    }
    if (wrong > 15) throw this.malformed('an id is not one');
  }

  base64(length?: number): Uint8Array {
    const text = this.text();
    const bytes = Buffer.from(text, 'base64');
    if (bytes.toString('base64') !== text) throw this.malformed('what should be base64 is not');
    if (length !== undefined && bytes.byteLength !== length) throw this.malformed(`not ${length} bytes of base64`);
    return bytes;
  }

  /** Any value, as the text it is written in. */
  other(): string {
    this.#space();
    const start = this.#at;
    let depth = 0;
    do {
      const byte = this.#bytes[this.#at];
      if (byte === quote) this.#skipString();
      else if (byte === openList || byte === openObject) depth += this.#step();
      else if (byte === closeList || byte === closeObject) depth -= this.#step();
      else if (depth > 0 && (byte === comma || byte === colon || byte <= 0x20)) this.#step();
      else this.#skipWord();
    } while (depth > 0 && this.#at < this.#bytes.byteLength);
    const json = this.#bytes.toString('utf8', start, this.#at);
    this.#parse(json);
    return json;
  }

  /** Nothing may follow. */
  end(): void {
    this.#space();
    if (this.#at < this.#bytes.byteLength) throw this.malformed('something follows its end');
  }

  malformed(why: string): HoldfastError {
    return malformed(this.#what, `${why} (near byte ${this.#at})`);
  }

  #step(): 1 {
    this.#at++;
    return 1;
  }

  #space(): void {
    const bytes = this.#bytes;
    for (;;) {
      const byte = bytes[this.#at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.#at++;
    }
  }

  #expect(byte: number): void {
    if (!this.#skipIf(byte)) throw this.malformed(`«${String.fromCharCode(byte)}» is missing`);
  }

  #skipIf(byte: number): boolean {
    if (this.#bytes[this.#at] !== byte) {
      this.#space();
      if (this.#bytes[this.#at] !== byte) return false;
    }
    this.#at++;
    return true;
  }

  #skipNull(): boolean {
    this.#space();
    if (this.#bytes[this.#at] !== 0x6e || this.#at + 4 > this.#bytes.byteLength) return false;
    if (this.#bytes.readUInt32BE(this.#at) !== nullWord) return false;
    this.#at += 4;
    return true;
  }

  #string(): string {
    const bytes = this.#bytes;
    if (bytes[this.#at] !== quote) throw this.malformed('a text is missing');
    const start = this.#at + 1;
    let end = start;
    let all = 0;
    for (let byte = bytes[end]; byte !== quote && byte !== backslash; byte = bytes[++end]) {
      if (!(byte >= 0x20)) throw this.malformed('a text does not end'); // also where the bytes end
      all |= byte;
    }
    if (bytes[end] === backslash) return this.#escapedString();
    this.#at = end + 1;
    if (all >= 0x80) return bytes.toString('utf8', start, end);
    return end - start <= longestShared ? this.#sharedString(start, end) : bytes.toString('latin1', start, end);
  }

  /** Short texts are few and come again and again (names of fields, types, users): the same string is given for the same bytes. */
  #sharedString(start: number, end: number): string {
    const bytes = this.#bytes;
    const slot = (bytes[start] * 7 + bytes[end - 1] * 31 + (end - start)) & (sharedSlots - 1);
    const known = this.#shared[slot];
    if (known !== undefined && known.length === end - start) {
      let i = 0;
      while (i < known.length && known.charCodeAt(i) === bytes[start + i]) i++;
      if (i === known.length) return known;
    }
    const text = bytes.toString('latin1', start, end);
    this.#shared[slot] = text;
    return text;
  }

  #escapedString(): string {
    const start = this.#at;
    this.#skipString();
    const text = this.#parse(this.#bytes.toString('utf8', start, this.#at));
    return (text as string).toWellFormed();
  }

  #skipString(): void {
    const bytes = this.#bytes;
    let at = this.#at + 1;
    while (at < bytes.byteLength && bytes[at] !== quote) at += bytes[at] === backslash ? 2 : 1;
    if (at >= bytes.byteLength) throw this.malformed('a text does not end');
    this.#at = at + 1;
  }

  /** A number, true, false, null, or nonsense that fails to parse. */
  #skipWord(): void {
    const start = this.#at;
    while (isWordByte(this.#bytes[this.#at])) this.#at++;
    if (this.#at === start) throw this.malformed('a value is missing');
  }

  #parse(json: string): unknown {
    try {
      return JSON.parse(json);
    } catch {
      throw this.malformed('not JSON'); // the reason would quote the text, which may be a key
    }
  }

  /** How many digits stand here; they are a whole number without leading zeros. */
  #digits(): number {
    this.#space();
    const bytes = this.#bytes;
    let end = this.#at;
    while (bytes[end] >= 0x30 && bytes[end] <= 0x39) end++;
    const digits = end - this.#at;
    if (digits === 0 || digits > 20 || (digits > 1 && bytes[this.#at] === 0x30) || isWordByte(bytes[end])) {
      throw this.malformed('not a whole number in range');
    }
    return digits;
  }

  #number(digits: number): number {
    let value = 0;
    for (let at = this.#at; at < this.#at + digits; at++) value = value * 10 + (this.#bytes[at] - 0x30);
    return value;
  }

  /** Where the digits of an id begin; leaves it behind. */
  #idStart(): number {
    this.#space();
    const start = this.#at + 1;
    if (this.#bytes[this.#at] !== quote || this.#bytes[start + hexIdLength] !== quote) {
      throw this.malformed('an id is not one');
    }
    this.#at = start + hexIdLength + 1;
    return start;
  }
}

/** Letters, digits, signs and the point: what numbers and words are made of. */
function isWordByte(byte: number): boolean {
  const letter = byte | 0x20;
  return (
    (letter >= 0x61 && letter <= 0x7a) ||
    (byte >= 0x30 && byte <= 0x39) ||
    byte === 0x2b ||
    byte === 0x2d ||
    byte === 0x2e
  );
}
