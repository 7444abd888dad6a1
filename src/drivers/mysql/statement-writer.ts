/** The rows of a table as INSERT statements, cut so that a row that changes moves no border but its own statement's. */
import type { Column } from './catalog.ts';
import { quoteName } from './names.ts';
import { kernelRowBytes, RowKernel } from './row-kernel.ts';
import { formsOf, type RowForms, RowWriter } from './row-writer.ts';

const pieceBytes = 256 * 1024;

/**
 * Statements are about 512 KiB long and at most 4 MiB and a row, far below the least max_allowed_packet of a server
 * (16 MiB); which row ends one is a matter of its content. Memory: what is in `pieces`, the kernel, and a long row doubled.
 */
export class StatementWriter implements Disposable {
  readonly #kernel = RowKernel.acquire();
  readonly #forms: RowForms;
  readonly #opening: Buffer;
  /** The kernel may be another's by now, while the last bytes of a connection still arrive. */
  #closed = false;
  /** Statements as they are gathered. */
  readonly pieces: Buffer[] = [];

  constructor(table: string, columns: readonly Column[]) {
    const written = columns.filter((column) => !column.generated).map((column) => quoteName(column.name));
    this.#forms = formsOf(columns);
    this.#opening = Buffer.from(`INSERT INTO ${quoteName(table)} (${written.join(', ')}) VALUES\n`, 'utf8');
    this.#kernel.begin(this.#forms, this.#opening);
  }

  /** Whole rows, each after its length. */
  take(rows: Buffer): void {
    if (this.#closed) return;
    for (let at = 0; at < rows.length; ) {
      const end = at + 4 + rows.readUInt32LE(at);
      if (end - at > kernelRowBytes) {
        this.#longRow(rows.subarray(at, end));
        at = end;
      } else {
        at = this.#kernel.write(rows, at, () => this.#flush());
      }
    }
    if (this.#kernel.used >= pieceBytes) this.#flush();
  }

  end(): void {
    this.#flush();
    if (this.#kernel.open) this.pieces.push(Buffer.from(';\n'));
    this.#kernel.ended();
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#kernel[Symbol.dispose]();
  }

  /** Longer than a statement, so it is the last of one. */
  #longRow(row: Buffer): void {
    this.#flush();
    const writer = new RowWriter(this.#forms);
    writer.row(row, 4, row.length);
    this.pieces.push(
      this.#kernel.open ? Buffer.from(',\n') : Buffer.from(this.#opening),
      writer.take(),
      Buffer.from(';\n'),
    );
    this.#kernel.ended();
  }

  #flush(): void {
    if (this.#kernel.used > 0) this.pieces.push(this.#kernel.take());
  }
}
