/** Stands between a connection and mysql2's parser of packets while one result set arrives: everything but rows goes to the parser. */
import { freeMemory } from '../../base/free-memory.ts';
import { RowPackets, type TakeRows } from './row-packets.ts';

/** What bytes are given to. mysql2's parser is one. */
export interface ByteTaker {
  execute(chunk: Buffer): void;
}

/**
 * A column ends with twelve bytes of fixed size, first its character set. mysql2 reads the column's name in it, and ends the
 * connection where it cannot (eucjpms, dec8, …); names come in UTF-8, whatever the values are of.
 */
const columnTail = 12;
const utf8 = 45;

/** For one result set. Chunks of rows are its own: their memory is given back. `leave` is told, before the parser gets what follows the rows, which number that packet has; without rows none. */
export class ResultTaker implements ByteTaker {
  readonly #parser: ByteTaker;
  readonly #leave: (number: number | undefined) => void;
  readonly #rows: RowPackets;
  /** Of a packet before the rows that is not whole. */
  #rest: Buffer = Buffer.alloc(0);
  /** Packets before the first row: the number of columns, each column, EOF. */
  #headersLeft: number | undefined;

  constructor(parser: ByteTaker, take: TakeRows, leave: (number: number | undefined) => void) {
    this.#parser = parser;
    this.#leave = leave;
    this.#rows = new RowPackets(take);
  }

  execute(chunk: Buffer): void {
    const rows = this.#headersLeft === 0 ? chunk : this.#headers(Buffer.concat([this.#rest, chunk]));
    const after = rows && this.#rows.push(rows);
    if (after === undefined) {
      // Gigabytes pass; the collector would let hundreds of MB pile up and spend its time on them.
      if (rows === chunk && chunk.buffer.byteLength === chunk.byteLength) freeMemory(chunk);
      return;
    }
    this.#leave(after[3]);
    this.#parser.execute(after);
  }

  /** Gives whole packets to the parser, one by one; returns what comes after the last. */
  #headers(bytes: Buffer): Buffer | undefined {
    let at = 0;
    while (this.#headersLeft !== 0) {
      if (bytes.length - at < 7) break;
      const end = at + 4 + bytes.readUIntLE(at, 3);
      if (end > bytes.length) break;
      const first = bytes[at + 4];
      // An error, instead of columns or between them; or no result set at all.
      if (first === 0xff || (this.#headersLeft === undefined && first === 0)) {
        this.#leave(undefined);
        this.#parser.execute(bytes.subarray(at));
        return undefined;
      }
      const columns = first === 0xfc ? bytes.readUInt16LE(at + 5) : first;
      nameInUtf8(bytes, end, this.#headersLeft);
      this.#headersLeft = this.#headersLeft === undefined ? columns + 1 : this.#headersLeft - 1;
      this.#parser.execute(bytes.subarray(at, end));
      at = end;
    }
    this.#rest = bytes.subarray(at);
    return this.#headersLeft === 0 ? this.#rest : undefined;
  }
}

/** Of a packet that describes a column; the last before the first row is an EOF. */
function nameInUtf8(bytes: Buffer, end: number, headersLeft: number | undefined): void {
  if (headersLeft !== undefined && headersLeft > 1) bytes.writeUInt16LE(utf8, end - columnTail);
}
