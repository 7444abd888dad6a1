/**
 * The hot loops, compiled to WebAssembly from kernels/assembly. One kernel per thread; every call is synchronous and leaves
 * no state behind but what its comment names. Data is copied in and out in blocks of at most `blockBytes`.
 */
import { copyBytes } from '../../base/copy-bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import { kernelWasm } from './kernel.wasm.ts';

/** Bytes the kernel works on at once. */
export const blockBytes = 65_536;
/** Bytes a Rabin fingerprint depends on. */
export const windowBytes = 64;

export interface Kernel {
  /** `blockBytes` of the kernel's memory: what is to be authenticated, enciphered or scanned. */
  readonly block: Uint8Array;
  /** `blockBytes` of the kernel's memory: counters, and the key stream made of them. */
  readonly stream: Uint8Array;
  /** Begins a Poly1305 tag with the 16 bytes of r, masked here. One tag at a time. */
  macStart(r: Uint8Array): void;
  /** Takes the first `length` bytes of `block`; a multiple of 16, except in the last call before `macFinish`. */
  macBlock(length: number): void;
  /** The tag, h + s: 16 bytes of the kernel's memory, valid until the next call of `macFinish`. */
  macFinish(s: Uint8Array): Uint8Array;
  /** Writes counter blocks `first` to `first + count − 1` of AES-CTR under the 16-byte `iv` into `stream`; gives back that part of it. */
  fillCounters(iv: Uint8Array, first: number, count: number): Uint8Array;
  /** Lays `stream` over the first `length` bytes of `block`. */
  applyStream(length: number): void;
  /** True if every byte is zero. */
  isZero(data: Uint8Array): boolean;
  /**
   * Runs of places in `data` after which the fingerprint's low 20 bits are zero: pairs first, last, both included, where n
   * means after n bytes beyond the context. Only windows that lie wholly within `data` count.
   * `tables` are 2 × 256 u64 (reduction, leaving byte) as little-endian bytes. Memory: the result.
   */
  scan(tables: Uint8Array, data: Uint8Array, contextBytes: number): Uint32Array;
}

interface Address {
  readonly value: number;
}

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly input: Address;
  readonly stream: Address;
  readonly parameters: Address;
  readonly tables: Address;
  readonly found: Address;
  polyStart(key: number): void;
  polyBlocks(from: number, length: number): void;
  polyFinish(from: number, length: number, s: number, tag: number): void;
  fillCounters(iv: number, first: number, count: number, to: number): void;
  applyStream(data: number, keyStream: number, length: number): void;
  allZero(from: number, length: number): number;
  prepareTables(): void;
  scan(length: number): number;
}

/** Node's own types leave WebAssembly to those of browsers. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
};

let compiled: object | undefined;

export function createKernel(): Kernel {
  compiled ??= new WebAssembly.Module(Buffer.from(kernelWasm, 'base64'));
  const wasm = new WebAssembly.Instance(compiled, {}).exports as Exports;
  return { ...macKernel(wasm), ...streamKernel(wasm), ...scanKernel(wasm) };
}

function region(wasm: Exports, address: number, length: number): Uint8Array {
  return new Uint8Array(wasm.memory.buffer, address, length);
}

function macKernel(wasm: Exports): Pick<Kernel, 'block' | 'macStart' | 'macBlock' | 'macFinish'> {
  const input = wasm.input.value;
  const parameters = wasm.parameters.value;
  const key = region(wasm, parameters + 16, 16);
  const pad = region(wasm, parameters + 32, 16);
  const tag = region(wasm, parameters + 48, 16);
  let rest = 0;
  let restAt = 0;
  return {
    block: region(wasm, input, blockBytes),
    macStart(r) {
      key.set(r);
      wasm.polyStart(parameters + 16);
      rest = 0;
    },
    macBlock(length) {
      requireFit(length);
      rest = length & 15;
      restAt = input + length - rest;
      wasm.polyBlocks(input, length - rest);
    },
    macFinish(s) {
      pad.set(s);
      wasm.polyFinish(restAt, rest, parameters + 32, parameters + 48);
      return tag;
    },
  };
}

function streamKernel(wasm: Exports): Pick<Kernel, 'stream' | 'fillCounters' | 'applyStream' | 'isZero'> {
  const input = wasm.input.value;
  const at = wasm.stream.value;
  const parameters = wasm.parameters.value;
  const ivSlot = region(wasm, parameters, 16);
  const block = region(wasm, input, blockBytes);
  const stream = region(wasm, at, blockBytes);
  return {
    stream,
    fillCounters(iv, first, count) {
      requireFit(count * 16);
      ivSlot.set(iv);
      wasm.fillCounters(parameters, first, count, at);
      return stream.subarray(0, count * 16);
    },
    applyStream(length) {
      requireFit(length);
      wasm.applyStream(input, at, length);
    },
    isZero(data) {
      for (let from = 0; from < data.byteLength; from += blockBytes) {
        const part = data.subarray(from, from + blockBytes);
        copyBytes(part, block);
        if (wasm.allZero(input, part.byteLength) === 0) return false;
      }
      return true;
    },
  };
}

/**
 * Bytes scanned at once. Sixteen lanes of 3840 bytes: lanes a power of two apart would fall on the same few lines of the
 * processor's cache.
 */
const scanBytes = 61_440;

function scanKernel(wasm: Exports): Pick<Kernel, 'scan'> {
  const input = wasm.input.value;
  const withContext = region(wasm, input - windowBytes, windowBytes + scanBytes);
  const tableMemory = region(wasm, wasm.tables.value, 4096);
  const found = new Uint32Array(wasm.memory.buffer, wasm.found.value, scanBytes / 32);
  let loaded: Uint8Array | undefined;

  /** Scans a block of `data` at `from`; appends to `runs`, counting places from `origin`. */
  const scanBlock = (data: Uint8Array, from: number, origin: number, runs: number[]): void => {
    const before = Math.min(windowBytes, from);
    const part = data.subarray(from - before, from + scanBytes);
    const length = part.byteLength - before;
    // The first byte before a window that has just become full leaves at once, whatever it is.
    copyBytes(part, withContext, windowBytes - before);
    if (wasm.allZero(input - before, part.byteLength) === 1) appendRun(runs, from - origin + 1, from - origin + length);
    else if (wasm.scan(length) === 1) collectRuns(found, from - origin, runs);
  };

  return {
    scan(tables, data, contextBytes) {
      if (loaded !== tables) {
        tableMemory.set(tables);
        wasm.prepareTables();
        loaded = tables;
      }
      const runs: number[] = [];
      for (let from = Math.max(contextBytes, windowBytes - 1); from < data.byteLength; from += scanBytes) {
        scanBlock(data, from, contextBytes, runs);
      }
      return Uint32Array.from(runs);
    },
  };
}

/** Each bit that is set is a place: bit 0 is the place `offset + 1`. */
function collectRuns(bits: Uint32Array, offset: number, runs: number[]): void {
  bits.forEach((word, index) => {
    const first = offset + index * 32 + 1;
    if (word === 0xffff_ffff) appendRun(runs, first, first + 31);
    else {
      for (let rest = word; rest !== 0; rest &= rest - 1) {
        const place = first + 31 - Math.clz32(rest & -rest);
        appendRun(runs, place, place);
      }
    }
  });
}

/** Adds a run behind the others; it joins the last one if it follows directly. */
function appendRun(runs: number[], first: number, last: number): void {
  if (runs.length > 0 && runs[runs.length - 1] === first - 1) runs[runs.length - 1] = last;
  else runs.push(first, last);
}

/** The kernel's own memory has no borders between its parts: a length is checked here or nowhere. */
function requireFit(bytes: number): void {
  if (bytes <= blockBytes) return;
  throw new HoldfastError({
    code: 'internal',
    message: `the kernel takes ${blockBytes} bytes at once, not ${bytes}`,
    remedy: 'Please report this with the log.',
  });
}
