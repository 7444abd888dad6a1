/**
 * The exact digest of rows, `sqlite-rows-1`. Each row is written as its values one after another, each with a type byte:
 *   0 NULL · 1 integer, 8 bytes two's complement · 2 real, 8 bytes IEEE 754 · 3 text, length + UTF-8 · 4 blob, length + bytes
 * (integers, reals and 32-bit lengths little-endian), and before them byte 9. The digest is SHA-256 over the rows in the
 * order of the table's b-tree. The type byte keeps 1, 1.0, '1' and x'31' apart; the lengths keep columns apart.
 */
import { createHash } from 'node:crypto';

const stagingBytes = 256 * 1024;
const type = { null: 0, integer: 1, real: 2, text: 3, blob: 4, row: 9 } as const;

/** What `node:sqlite` gives with `setReadBigInts(true)`: bigint for INTEGER, number for REAL. */
export type SqlValue = null | bigint | number | string | Uint8Array;

/** Takes rows, gives one digest. Memory: 256 KiB. */
export class RowDigest {
  readonly #hash = createHash('sha256');
  readonly #staging = Buffer.allocUnsafe(stagingBytes);
  readonly #numbers = new DataView(this.#staging.buffer, this.#staging.byteOffset, stagingBytes);
  #used = 0;
  #mayBeBroken = false;

  /** True once a text held U+FFFD, which may stand for bytes that are no UTF-8 and that the string has lost. */
  get mayBeBroken(): boolean {
    return this.#mayBeBroken;
  }

  row(values: readonly SqlValue[]): void {
    this.#tag(type.row);
    for (const value of values) this.#value(value);
  }

  hex(): string {
    this.#flush();
    return this.#hash.digest('hex');
  }

  #value(value: SqlValue): void {
    if (typeof value === 'bigint') {
      this.#tag(type.integer);
      this.#numbers.setBigInt64(this.#used, value, true);
      this.#used += 8;
    } else if (typeof value === 'string') {
      this.#text(value);
    } else if (value === null) {
      this.#tag(type.null);
    } else if (typeof value === 'number') {
      this.#tag(type.real);
      this.#numbers.setFloat64(this.#used, value, true);
      this.#used += 8;
    } else {
      this.#tag(type.blob);
      this.#bytes(value);
    }
  }

  #text(text: string): void {
    this.#tag(type.text);
    if (text.includes('\ufffd')) this.#mayBeBroken = true;
    // UTF-8 takes at most 3 bytes per UTF-16 unit.
    if (text.length * 3 + 16 > stagingBytes) {
      this.#bytes(Buffer.from(text, 'utf8'));
      return;
    }
    this.#room(text.length * 3 + 16);
    const length = this.#staging.write(text, this.#used + 4, 'utf8');
    this.#staging.writeUInt32LE(length, this.#used);
    this.#used += 4 + length;
  }

  /** Text whose bytes are no valid UTF-8 and would not survive as a string. */
  rawText(bytes: Uint8Array): void {
    this.#tag(type.text);
    this.#bytes(bytes);
  }

  /** A row whose texts are given as their raw bytes: `types[i]` is what SQLite's typeof says of `values[i]`. */
  typedRow(types: readonly SqlValue[], values: readonly SqlValue[]): void {
    this.#tag(type.row);
    values.forEach((value, i) => {
      if (types[i] === 'text' && value instanceof Uint8Array) this.rawText(value);
      else this.#value(value);
    });
  }

  #bytes(bytes: Uint8Array): void {
    this.#room(4);
    this.#used = this.#staging.writeUInt32LE(bytes.byteLength, this.#used);
    if (bytes.byteLength > 4096) {
      this.#flush();
      this.#hash.update(bytes);
    } else {
      this.#room(bytes.byteLength);
      this.#staging.set(bytes, this.#used);
      this.#used += bytes.byteLength;
    }
  }

  #tag(tag: number): void {
    this.#room(16);
    this.#staging[this.#used++] = tag;
  }

  #room(bytes: number): void {
    if (this.#used + bytes > stagingBytes) this.#flush();
  }

  #flush(): void {
    this.#hash.update(this.#staging.subarray(0, this.#used));
    this.#used = 0;
  }
}
