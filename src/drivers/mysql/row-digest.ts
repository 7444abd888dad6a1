/**
 * The exact digest of a table's rows, `mysql-rows-1`: SHA-256 over each row as the server sends it in its text protocol
 * (length-encoded values, 0xfb for NULL), after its length as 32 bits little-endian, in the order of the primary key, or the
 * order the rows are stored in where there is none. Character sets are not converted and FLOAT is read as DOUBLE, so equal
 * digests mean equal stored values.
 */
import { createHash } from 'node:crypto';

const stagingBytes = 64 * 1024;

/** Takes rows, gives one digest. Memory: 64 KiB. */
export class RowDigest {
  readonly #hash = createHash('sha256');
  readonly #staging = Buffer.allocUnsafe(stagingBytes);
  #used = 0;
  #rows = 0;

  get rows(): number {
    return this.#rows;
  }

  /** A row that is only counted. */
  count(): void {
    this.#rows++;
  }

  row(packet: Buffer, offset: number, end: number): void {
    this.#rows++;
    const length = end - offset;
    if (this.#used + length + 4 > stagingBytes) this.#flush();
    this.#used = this.#staging.writeUInt32LE(length, this.#used);
    if (length + 4 > stagingBytes) {
      this.#flush();
      this.#hash.update(packet.subarray(offset, end));
    } else {
      this.#used += packet.copy(this.#staging, this.#used, offset, end);
    }
  }

  hex(): string {
    this.#flush();
    return this.#hash.digest('hex');
  }

  #flush(): void {
    this.#hash.update(this.#staging.subarray(0, this.#used));
    this.#used = 0;
  }
}
