/**
 * Rows as the server sent them, written as the literals of an INSERT. Exact for every type: bytes go as hex, texts of other
 * character sets as hex with the set's name, so that no conversion happens on either way.
 */
import type { Column } from './catalog.ts';

/** What a column's values are written as; the kernel has the same numbers. */
const literal = { plain: 0, text: 1, bytes: 2, ascii: 3, foreign: 4, skipped: 5 } as const;
type Literal = (typeof literal)[keyof typeof literal];

const numbers = /^(?:tinyint|smallint|mediumint|int|integer|bigint|decimal|numeric|float|double|real|year|bool)$/;
const bytes =
  /^(?:(?:var)?binary|(?:tiny|medium|long)?blob|bit|geometry|point|linestring|polygon|multi(?:point|linestring|polygon)|geom(?:etry)?collection|vector)$/;
/** Character sets whose first 128 characters are ASCII and whose other bytes are never below 128. */
const asciiBased =
  /^(?:ascii|latin\d|cp125\d|cp85\d|cp866|koi8[ru]|greek|hebrew|armscii8|geostd8|keybcs2|macce|macroman|tis620)$/;

function literalOf({ type, charset, generated }: Column): Literal {
  if (generated) return literal.skipped;
  if (numbers.test(type)) return literal.plain;
  if (bytes.test(type) || charset === 'binary') return literal.bytes;
  if (charset === undefined || /^utf8(?:mb[34])?$/.test(charset)) return literal.text;
  return asciiBased.test(charset) ? literal.ascii : literal.foreign;
}

/** The second character of an escape, for bytes that need one. */
const escapes = new Uint8Array(256);
for (const [byte, letter] of [
  [0x00, '0'],
  [0x0a, 'n'],
  [0x0d, 'r'],
  [0x1a, 'Z'],
  [0x27, "'"],
  [0x5c, '\\'],
] as const) {
  escapes[byte] = letter.charCodeAt(0);
}
const hexDigits = Buffer.from('0123456789abcdef', 'latin1');
const nullWord = Buffer.from('NULL', 'latin1');

/** Longer values are turned to hex by the runtime at once. */
const longBytes = 256;

/** How the columns of a table are written. */
export interface RowForms {
  /** One byte for each column that is read. */
  readonly forms: Uint8Array;
  /** What comes before the digits of a foreign text, for each column. */
  readonly introducers: readonly Buffer[];
  /** How many columns are written: the generated ones come after them. */
  readonly written: number;
}

export function formsOf(columns: readonly Column[]): RowForms {
  return {
    forms: Uint8Array.from(columns, literalOf),
    introducers: columns.map(({ charset }) => Buffer.from(`_${charset} 0x`, 'latin1')),
    written: columns.filter(({ generated }) => !generated).length,
  };
}

/**
 * Gathers rows of one table; `take` hands out what was gathered. It says what the kernel must write, and writes the rows that
 * are too long for it. Memory: what is gathered, at least one row doubled.
 */
export class RowWriter {
  readonly #literals: Uint8Array;
  readonly #introducers: readonly Buffer[];
  readonly #written: number;
  #out: Buffer = Buffer.allocUnsafe(64 * 1024);
  #used = 0;

  constructor({ forms, introducers, written }: RowForms) {
    this.#literals = forms;
    this.#introducers = introducers;
    this.#written = written;
  }

  /** `(1,'a',NULL)`. */
  row(packet: Buffer, offset: number, end: number): void {
    this.#room(2 * (end - offset) + 48 * this.#literals.length + 8);
    this.#byte(0x28);
    let at = offset;
    for (let column = 0; column < this.#written; column++) {
      if (column > 0) this.#byte(0x2c);
      const first = packet[at++];
      if (first === 0xfb) {
        this.#used += nullWord.copy(this.#out, this.#used);
        continue;
      }
      const size = lengthSize(first);
      const start = at + size;
      at = start + (size === 0 ? first : longLength(packet, at, size));
      this.#value(this.#literals[column] as Literal, column, packet, start, at);
    }
    this.#byte(0x29);
  }

  take(): Buffer {
    const taken = Buffer.from(this.#out.subarray(0, this.#used));
    this.#used = 0;
    return taken;
  }

  #value(form: Literal, column: number, packet: Buffer, start: number, end: number): void {
    if (form === literal.plain) this.#used += packet.copy(this.#out, this.#used, start, end);
    else if (form === literal.text) this.#quoted(packet, start, end, false);
    else if (form === literal.bytes) this.#hex(packet, start, end);
    else if (form === literal.foreign || !this.#quoted(packet, start, end, true))
      this.#foreign(column, packet, start, end);
  }

  /** False, with nothing written, if only ASCII was wanted and there was more. */
  #quoted(packet: Buffer, start: number, end: number, asciiOnly: boolean): boolean {
    const out = this.#out;
    let to = this.#used;
    out[to++] = 0x27;
    for (let at = start; at < end; at++) {
      const byte = packet[at];
      if (asciiOnly && byte > 0x7f) return false;
      const letter = escapes[byte];
      if (letter !== 0) {
        out[to++] = 0x5c;
        out[to++] = letter;
      } else {
        out[to++] = byte;
      }
    }
    out[to++] = 0x27;
    this.#used = to;
    return true;
  }

  #foreign(column: number, packet: Buffer, start: number, end: number): void {
    if (start === end) {
      this.#hex(packet, start, end);
      return;
    }
    this.#used += this.#introducers[column].copy(this.#out, this.#used);
    this.#digits(packet, start, end);
  }

  #hex(packet: Buffer, start: number, end: number): void {
    if (start === end) {
      this.#byte(0x27);
      this.#byte(0x27);
      return;
    }
    this.#byte(0x30);
    this.#byte(0x78);
    this.#digits(packet, start, end);
  }

  #digits(packet: Buffer, start: number, end: number): void {
    if (end - start > longBytes) {
      this.#used += this.#out.write(packet.toString('hex', start, end), this.#used, 'latin1');
      return;
    }
    const out = this.#out;
    let to = this.#used;
    for (let at = start; at < end; at++) {
      const byte = packet[at];
      out[to++] = hexDigits[byte >> 4];
      out[to++] = hexDigits[byte & 15];
    }
    this.#used = to;
  }

  #byte(byte: number): void {
    this.#out[this.#used++] = byte;
  }

  #room(bytes: number): void {
    if (this.#used + bytes <= this.#out.length) return;
    const larger = Buffer.allocUnsafe(Math.max(2 * this.#out.length, this.#used + bytes));
    this.#out.copy(larger, 0, 0, this.#used);
    this.#out = larger;
  }
}

/** How many bytes of length follow the first byte of a value. */
function lengthSize(first: number): number {
  if (first < 0xfb) return 0;
  if (first === 0xfc) return 2;
  return first === 0xfd ? 3 : 8;
}

/** A length of more than 250, in the bytes after its first (protocol: length-encoded integer). */
function longLength(packet: Buffer, at: number, size: number): number {
  return size === 8 ? Number(packet.readBigUInt64LE(at)) : packet.readUIntLE(at, size);
}
