/**
 * CRC-64 as Redis and Valkey end their RDB files and DUMP payloads with it: Jones' polynomial 0xad93d23594c935a9, reflected,
 * starting from 0 and not inverted at the end. A message followed by its own checksum (little-endian) has the checksum 0.
 */

const polynomialLow = 0xac4bc9b5 | 0;
const polynomialHigh = 0x95ac9329 | 0;
const slices = 8;

/** Entry `slice * 256 + byte`: what `byte` adds when `slice` more bytes follow it. Low and high halves apart: 64-bit integers are slow. */
const low = new Int32Array(slices * 256);
const high = new Int32Array(slices * 256);

for (let byte = 0; byte < 256; byte++) {
  let l = byte;
  let h = 0;
  for (let bit = 0; bit < 8; bit++) {
    const odd = l & 1;
    l = (l >>> 1) | (h << 31);
    h >>>= 1;
    if (odd) {
      l ^= polynomialLow;
      h ^= polynomialHigh;
    }
  }
  low[byte] = l;
  high[byte] = h;
}
for (let at = 256; at < slices * 256; at++) {
  const l = low[at - 256];
  const h = high[at - 256];
  low[at] = (l >>> 8) ^ (h << 24) ^ low[l & 255];
  high[at] = (h >>> 8) ^ high[l & 255];
}

/** Takes bytes in any pieces. */
export class Crc64 {
  #low = 0;
  #high = 0;

  update(bytes: Uint8Array): this {
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
    return this.#low === 0 && this.#high === 0;
  }

  /** Eight bytes, little-endian, as they end a file. */
  bytes(): Uint8Array {
    const out = Buffer.allocUnsafe(8);
    out.writeInt32LE(this.#low, 0);
    out.writeInt32LE(this.#high, 4);
    return out;
  }
}
