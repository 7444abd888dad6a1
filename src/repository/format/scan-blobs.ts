/**
 * The blobs of a pack in an index file, written as restic and we write them: no white space, the fields in one order. That is
 * all but every byte of a large index, so it is read without asking what comes next; anything else is left to the reader that
 * takes any JSON. Faster by several times.
 */
import { hexDigitValues } from './hex-digits.ts';
import { leastBlobBytes, type PackEntry } from './pack-header.ts';

const begin = Buffer.from('{"id":"');
const dataType = Buffer.from('","type":"data","offset":');
const treeType = Buffer.from('","type":"tree","offset":');
const lengthField = Buffer.from(',"length":');
const plainField = Buffer.from(',"uncompressed_length":');
const openList = 0x5b;
const closeList = 0x5d;
const closeObject = 0x7d;
const comma = 0x2c;
const idBytes = 32;
/** Ids of so many blobs share a piece of memory. */
const idsTogether = 256;
/** More cannot be a number of 32 bits. */
const mostDigits = 10;
const mostBytes = 2 ** 32 - 1;

/** The list that begins at `at`, and where it ends; `undefined` if any of it is written otherwise. */
export function scanBlobs(bytes: Uint8Array, at: number): { entries: PackEntry[]; end: number } | undefined {
  if (bytes[at] !== openList) return undefined;
  const scanner = new BlobScanner(bytes, at + 1);
  const entries: PackEntry[] = [];
  for (;;) {
    const entry = scanner.blob();
    if (!entry) return undefined;
    entries.push(entry);
    const next = bytes[scanner.at++];
    if (next === closeList) return { entries, end: scanner.at };
    if (next !== comma) return undefined;
  }
}

class BlobScanner {
  at: number;
  readonly #bytes: Uint8Array;
  #ids = new Uint8Array(idsTogether * idBytes);
  #used = 0;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  blob(): PackEntry | undefined {
    if (!this.#skip(begin)) return undefined;
    const id = this.#id();
    if (!id) return undefined;
    const isData = this.#skip(dataType);
    if (!isData && !this.#skip(treeType)) return undefined;
    const offset = this.#number();
    if (!this.#skip(lengthField)) return undefined;
    const length = this.#number();
    const uncompressedLength = this.#skip(plainField) ? this.#number() : 0;
    if (this.#bytes[this.at++] !== closeObject) return undefined;
    if (offset < 0 || length < leastBlobBytes || uncompressedLength < 0) return undefined;
    return { type: isData ? 'data' : 'tree', id, offset, length, uncompressedLength };
  }

  #skip(expected: Uint8Array): boolean {
    for (let i = 0; i < expected.length; i++) if (this.#bytes[this.at + i] !== expected[i]) return false;
    this.at += expected.length;
    return true;
  }

  #id(): Uint8Array | undefined {
    if (this.#used === this.#ids.byteLength) {
      this.#ids = new Uint8Array(idsTogether * idBytes);
      this.#used = 0;
    }
    const start = this.#used;
    for (let i = 0; i < idBytes; i++) {
      const high = hexDigitValues[this.#bytes[this.at + i * 2]];
      const low = hexDigitValues[this.#bytes[this.at + i * 2 + 1]];
      // Anything but a digit has all bits of a byte set.
      if ((high | low) > 15) return undefined;
      this.#ids[start + i] = (high << 4) | low;
    }
    this.at += idBytes * 2;
    this.#used += idBytes;
    return this.#ids.subarray(start, start + idBytes);
  }

  /** -1 if there is none, it begins with a zero that is not all of it, or it has more than 32 bits. */
  #number(): number {
    const start = this.at;
    let value = 0;
    for (;;) {
      const digit = this.#bytes[this.at] - 0x30;
      if (!(digit >= 0 && digit <= 9)) break;
      value = value * 10 + digit;
      this.at++;
    }
    const digits = this.at - start;
    const isPlain = digits > 0 && digits <= mostDigits && (digits === 1 || this.#bytes[start] !== 0x30);
    return isPlain && value <= mostBytes ? value : -1;
  }
}
