/** Rows to statements, in WebAssembly: compiled from kernels/assembly/mysql-rows.ts. */
import { HoldfastError } from '../../base/errors.ts';
import { rowKernelWasm } from './row-kernel.wasm.ts';
import type { RowForms } from './row-writer.ts';

/** A row of more than this is not for the kernel. */
export const kernelRowBytes = 1 << 20;

interface Address {
  readonly value: number;
}

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly input: Address;
  readonly output: Address;
  readonly forms: Address;
  readonly introducers: Address;
  readonly opening: Address;
  readonly used: Address;
  readonly statement: Address;
  prepare(): void;
  taken(): void;
  ended(): void;
  write(from: number, length: number, columns: number, written: number, openingBytes: number): number;
}

/** Node's own types leave WebAssembly to those of browsers. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
};

let compiled: object | undefined;
/** Kernels nobody uses now: making one costs its memory anew. */
const idle: RowKernel[] = [];

/** For one table at a time. Memory: 7 MB, of which what is used is touched. */
export class RowKernel {
  readonly #wasm: Exports;
  readonly #input: Buffer;
  readonly #output: Buffer;
  #columns = 0;
  #written = 0;
  #openingBytes = 0;

  static acquire(): RowKernel {
    return idle.pop() ?? new RowKernel();
  }

  private constructor() {
    compiled ??= new WebAssembly.Module(Buffer.from(rowKernelWasm, 'base64'));
    const wasm = new WebAssembly.Instance(compiled, {}).exports as Exports;
    wasm.prepare();
    this.#wasm = wasm;
    this.#input = Buffer.from(wasm.memory.buffer, wasm.input.value, kernelRowBytes);
    this.#output = Buffer.from(wasm.memory.buffer, wasm.output.value);
  }

  [Symbol.dispose](): void {
    if (idle.length < 3) idle.push(this);
  }

  /** Begins a table. `opening` is what every statement begins with. */
  begin({ forms, introducers, written }: RowForms, opening: Buffer): void {
    const { memory, forms: formsAt, introducers: introducersAt, opening: openingAt } = this.#wasm;
    if (forms.length > 4096 || opening.length > kernelRowBytes || introducers.some(({ length }) => length > 63)) {
      throw new HoldfastError({
        code: 'internal',
        message: `a table of ${forms.length} columns is more than a dump takes`,
        remedy: 'Leave it out with excludeTables, and report it.',
      });
    }
    Buffer.from(memory.buffer, formsAt.value).set(forms);
    for (const [column, text] of introducers.entries()) {
      Buffer.from(memory.buffer, introducersAt.value + 64 * column, 64).set([text.length, ...text]);
    }
    Buffer.from(memory.buffer, openingAt.value).set(opening);
    this.#columns = forms.length;
    this.#written = written;
    this.#openingBytes = opening.length;
    this.#wasm.taken();
    this.#wasm.ended();
  }

  /** Bytes that wait in the kernel. */
  get used(): number {
    return this.#wasm.used.value;
  }

  /** True while a statement has not ended. */
  get open(): boolean {
    return this.#wasm.statement.value > 0;
  }

  /** As many whole rows from there as it can take at once; gives the place of the first that is left. Calls `full` when there is no room: it must `take`. */
  write(rows: Buffer, from: number, full: () => void): number {
    const length = wholeRows(rows, from);
    rows.copy(this.#input, 0, from, from + length);
    for (let at = 0; at < length; ) {
      at = this.#wasm.write(at, length, this.#columns, this.#written, this.#openingBytes);
      if (at < length) full();
    }
    return from + length;
  }

  /** What was written since, in memory of its own. */
  take(): Buffer {
    const taken = Buffer.from(this.#output.subarray(0, this.used));
    this.#wasm.taken();
    return taken;
  }

  /** The next row begins a statement. */
  ended(): void {
    this.#wasm.ended();
  }
}

/** As many bytes from there as are whole rows and fit. */
function wholeRows(rows: Buffer, from: number): number {
  if (rows.length - from <= kernelRowBytes) return rows.length - from;
  let to = from;
  for (;;) {
    const next = to + 4 + rows.readUInt32LE(to);
    if (next - from > kernelRowBytes) return to - from;
    to = next;
  }
}
