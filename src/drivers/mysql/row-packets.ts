/**
 * Takes the rows of a result set out of the bytes of a connection, without looking into them (MySQL 9 internals: packets,
 * text result set). A packet has its length in three bytes, then a number; with the number set to zero these four are the
 * length as 32 bits little-endian, which is the form rows have from here on, so that they need not be copied.
 */

/** Takes whole rows, each its length as 32 bits little-endian and its values; valid during the call only. */
export type TakeRows = (rows: Buffer, count: number) => void;

/** A packet of this size is followed by more of the same. */
const fullPacket = 0xffffff;
const headBytes = 4;

/** For one result set. Keeps nothing of what it is given but copies. Memory: a row that is not whole yet. */
export class RowPackets {
  readonly #take: TakeRows;
  /** Of the packet that has begun: what came of it. */
  #begun: Buffer[] = [];
  #begunBytes = 0;
  /** What `#begun` must have before anything can be done with it. */
  #wantedBytes = 0;
  /** Of a row of several packets: the values so far. */
  readonly #parts: Buffer[] = [];

  constructor(take: TakeRows) {
    this.#take = take;
  }

  /** Bytes as they came; they are changed. Gives the first of what is no row (an EOF, an error), `undefined` while rows go on. */
  push(bytes: Buffer): Buffer | undefined {
    let chunk = bytes;
    while (this.#begunBytes > 0) {
      const missing = this.#wantedBytes - this.#begunBytes;
      this.#begun.push(Buffer.from(chunk.subarray(0, missing)));
      this.#begunBytes += Math.min(missing, chunk.length);
      if (this.#begunBytes < this.#wantedBytes) return undefined;
      chunk = chunk.subarray(missing);
      const begun = Buffer.concat(this.#begun, this.#begunBytes);
      this.#begun = [];
      this.#begunBytes = 0;
      const after = this.#whole(begun);
      if (after) return Buffer.concat([after, chunk]);
    }
    return this.#whole(chunk);
  }

  #whole(chunk: Buffer): Buffer | undefined {
    let at = 0;
    let run = 0;
    let count = 0;
    let after = false;
    for (;;) {
      // The first byte of the values tells rows from what ends them; a part of a row may be empty.
      const looked = this.#parts.length > 0 ? headBytes : headBytes + 1;
      if (chunk.length - at < looked) {
        this.#begin(chunk, at, looked);
        break;
      }
      const size = chunk[at] + (chunk[at + 1] << 8) + (chunk[at + 2] << 16);
      const end = at + headBytes + size;
      after = this.#parts.length === 0 && isEnd(chunk[at + headBytes], size);
      if (after) break;
      if (end > chunk.length) {
        this.#begin(chunk, at, headBytes + size);
        break;
      }
      if (size === fullPacket || this.#parts.length > 0) {
        this.#give(chunk, run, at, count);
        this.#part(Buffer.from(chunk.subarray(at + headBytes, end)), size < fullPacket);
        run = end;
        count = 0;
      } else {
        chunk[at + 3] = 0;
        count++;
      }
      at = end;
    }
    this.#give(chunk, run, at, count);
    return after ? chunk.subarray(at) : undefined;
  }

  #give(chunk: Buffer, from: number, to: number, count: number): void {
    if (count > 0) this.#take(chunk.subarray(from, to), count);
  }

  #begin(chunk: Buffer, at: number, wantedBytes: number): void {
    if (at === chunk.length) return;
    this.#begun.push(Buffer.from(chunk.subarray(at)));
    this.#begunBytes = chunk.length - at;
    this.#wantedBytes = wantedBytes;
  }

  #part(values: Buffer, last: boolean): void {
    this.#parts.push(values);
    if (!last) return;
    const length = Buffer.alloc(headBytes);
    length.writeUInt32LE(this.#parts.reduce((sum, part) => sum + part.length, 0));
    this.#take(Buffer.concat([length, ...this.#parts.splice(0)]), 1);
  }
}

/** No value begins with 0xff, and one that begins with 0xfe is longer. */
function isEnd(first: number, size: number): boolean {
  return first === 0xff || (first === 0xfe && size < 9);
}
