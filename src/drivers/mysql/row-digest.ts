/**
 * The exact digest of a table's rows, `mysql-rows-1`: SHA-256 over each row as the server sends it in its text protocol
 * (length-encoded values, 0xfb for NULL), after its length as 32 bits little-endian, in the order of the primary key, or the
 * order the rows are stored in where there is none. Character sets are not converted and FLOAT is read as DOUBLE, so equal
 * digests mean equal stored values.
 */
import { createHash, type Hash } from 'node:crypto';

/** Takes rows, gives one digest. */
export class RowDigest {
  readonly #hash: Hash = createHash('sha256');
  #rows = 0;

  get rows(): number {
    return this.#rows;
  }

  /** Rows that are only counted. */
  count(rows: number): void {
    this.#rows += rows;
  }

  /** Whole rows, each after its length. */
  take(bytes: Buffer, rows: number): void {
    this.#rows += rows;
    this.#hash.update(bytes);
  }

  hex(): string {
    return this.#hash.digest('hex');
  }
}
