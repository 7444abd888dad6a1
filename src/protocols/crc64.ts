/** CRC-64 over bytes in any pieces, eight at a time. Halves of 32 bits: 64-bit integers are slow in JavaScript. */

const slices = 8;

interface Tables {
  readonly low: Int32Array;
  readonly high: Int32Array;
}

/** `polynomial` is reflected. Entry `slice * 256 + byte`: what `byte` adds when `slice` more bytes follow it. */
function tablesOf(polynomial: bigint): Tables {
  const low = new Int32Array(slices * 256);
  const high = new Int32Array(slices * 256);
  for (let byte = 0; byte < 256; byte++) {
    let value = BigInt(byte);
    for (let bit = 0; bit < 8; bit++) value = (value >> 1n) ^ (value & 1n ? polynomial : 0n);
    low[byte] = Number(value & 0xffffffffn);
    high[byte] = Number(value >> 32n);
  }
  for (let at = 256; at < slices * 256; at++) {
    const l = low[at - 256];
    const h = high[at - 256];
    low[at] = (l >>> 8) ^ (h << 24) ^ low[l & 255];
    high[at] = (h >>> 8) ^ high[l & 255];
  }
  return { low, high };
}

/** ECMA-182's polynomial, reflected, as Go's `crc64.ECMA` and xz have it. */
const ecma = tablesOf(0xc96c5795d7870f42n);
/** Jones' polynomial 0xad93d23594c935a9, reflected. */
const jones = tablesOf(0x95ac9329ac4bc9b5n);

/** CRC-64/XZ: starts inverted and is inverted at the end; `123456789` gives 995dc9bbdf1939fa. MongoDB's archives have it. */
export function crc64Xz(): Crc64 {
  return new Crc64(ecma, -1);
}

/**
 * As Redis and Valkey end their RDB files and DUMP payloads: nothing is inverted; `123456789` gives e9c6d914c4b8d9ca. A
 * message followed by its own checksum (little-endian) has the checksum 0.
 */
export function crc64Redis(): Crc64 {
  return new Crc64(jones, 0);
}

/** One checksum under way. Get it from `crc64Xz` or `crc64Redis`. */
export class Crc64 {
  readonly #tables: Tables;
  readonly #inversion: number;
  #low: number;
  #high: number;

  /** `inversion`: what both halves start with, and are combined with at the end; -1 or 0. */
  constructor(tables: Tables, inversion: -1 | 0) {
    this.#tables = tables;
    this.#inversion = inversion;
    this.#low = inversion;
    this.#high = inversion;
  }

  update(bytes: Uint8Array): this {
    const { low, high } = this.#tables;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const whole = bytes.byteLength - (bytes.byteLength % slices);
    let l = this.#low;
    let h = this.#high;
    for (let at = 0; at < whole; at += slices) {
      const a = l ^ view.getInt32(at, true);
      const b = h ^ view.getInt32(at + 4, true);
      const i7 = 1792 + (a & 255);
      const i6 = 1536 + ((a >>> 8) & 255);
      const i5 = 1280 + ((a >>> 16) & 255);
      const i4 = 1024 + (a >>> 24);
      const i3 = 768 + (b & 255);
      const i2 = 512 + ((b >>> 8) & 255);
      const i1 = 256 + ((b >>> 16) & 255);
      const i0 = b >>> 24;
      l = low[i7] ^ low[i6] ^ low[i5] ^ low[i4] ^ low[i3] ^ low[i2] ^ low[i1] ^ low[i0];
      h = high[i7] ^ high[i6] ^ high[i5] ^ high[i4] ^ high[i3] ^ high[i2] ^ high[i1] ^ high[i0];
    }
    for (let at = whole; at < bytes.byteLength; at++) {
      const index = (l ^ bytes[at]) & 255;
      l = (l >>> 8) ^ (h << 24) ^ low[index];
      h = (h >>> 8) ^ high[index];
    }
    this.#low = l;
    this.#high = h;
    return this;
  }

  get isZero(): boolean {
    return this.#low === this.#inversion && this.#high === this.#inversion;
  }

  /** As a signed 64-bit number, which is how BSON holds it. */
  value(): bigint {
    return (BigInt(this.#high ^ this.#inversion) << 32n) | BigInt((this.#low ^ this.#inversion) >>> 0);
  }

  /** Eight bytes, little-endian, as they end a file. */
  bytes(): Uint8Array {
    const out = Buffer.allocUnsafe(8);
    out.writeBigInt64LE(this.value());
    return out;
  }
}
