/** Reads a tar archive from a stream, one entry after another; memory: one chunk of the stream. */
import { blockBytes, notTar, type PaxRecords, parseHeader, parsePax, type TarHeader } from './tar-header.ts';

/** What an extended header may hold. */
const mostExtended = 1 << 20;

export class TarReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Buffer = Buffer.alloc(0);
  /** Content of the present entry that was not read, and the zeros after it. */
  #left = 0;
  #padding = 0;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** The next entry, what is left of the one before is passed over; `undefined` at the end. An archive without an end mark throws. */
  async next(): Promise<TarHeader | undefined> {
    let pax: PaxRecords = new Map();
    for (;;) {
      await this.#skip(this.#left + this.#padding);
      const header = parseHeader(await this.#take(blockBytes), pax);
      this.#left = header ? sizeOf(header) : 0;
      this.#padding = -this.#left & (blockBytes - 1);
      if (!header) return undefined;
      if (!'xgLK'.includes(header.type)) return header;
      if (header.type === 'g') continue;
      pax = new Map([...pax, ...(await this.#extension(header))]);
    }
  }

  /** Content of the present entry; 0 at its end. */
  async read(into: Uint8Array): Promise<number> {
    const wanted = Math.min(into.byteLength, this.#left);
    if (wanted === 0) return 0;
    if (this.#rest.length === 0) await this.#more();
    const count = Math.min(wanted, this.#rest.length);
    into.set(this.#rest.subarray(0, count));
    this.#rest = this.#rest.subarray(count);
    this.#left -= count;
    return count;
  }

  /** Lets go of the stream, wherever it is. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async #extension({ type, size }: TarHeader): Promise<PaxRecords> {
    if (size > mostExtended) throw notTar();
    const content = Buffer.from(await this.#take(size));
    this.#left = 0;
    if (type === 'x') return parsePax(content);
    const end = content.indexOf(0);
    return new Map([[type === 'L' ? 'path' : 'linkpath', end < 0 ? content : content.subarray(0, end)]]);
  }

  async #take(length: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let missing = length; missing > 0; ) {
      if (this.#rest.length === 0) await this.#more();
      const part = this.#rest.subarray(0, missing);
      parts.push(part);
      this.#rest = this.#rest.subarray(part.length);
      missing -= part.length;
    }
    return parts.length === 1 ? parts[0] : Buffer.concat(parts);
  }

  async #skip(length: number): Promise<void> {
    for (let left = length; left > 0; ) {
      if (this.#rest.length === 0) await this.#more();
      const part = Math.min(left, this.#rest.length);
      this.#rest = this.#rest.subarray(part);
      left -= part;
    }
  }

  async #more(): Promise<void> {
    const next = await this.#chunks.next().catch((error: unknown) => {
      throw notTar(error);
    });
    if (next.done) throw notTar();
    this.#rest = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
  }
}

/** Only plain files have content; of a hard link the size may be told, but nothing follows. */
function sizeOf({ type, size }: TarHeader): number {
  return '12346'.includes(type) || type === '5' ? 0 : size;
}
