/**
 * zstd frames in one piece. The functions of node:zlib make a new context (a megabyte of memory) for every call and grow
 * their output in steps of 16 KiB; for the small blobs of a repository that takes longer than the work itself. So one
 * context is kept per thread, through the handle under node's zlib streams, which is not part of its documented interface:
 * where it looks different, or whenever anything is unusual, the documented functions do the work and give the errors.
 */
import { constants, createZstdCompress, createZstdDecompress, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { zstdFrameBytes } from '../format/zstd-frame.ts';

/** What zstd needs at most for input that does not shrink (its COMPRESSBOUND), and a little more. */
function boundBytes(length: number): number {
  return length + (length >> 8) + 1024;
}

/** A frame. It lies in memory of this thread that the next call of `compress` uses again. */
export function compress(plain: Uint8Array, level: number): Buffer {
  const context = compressors.get(level) ?? openCompressor(level);
  const room = boundBytes(plain.byteLength);
  const frame = context?.run(constants.ZSTD_e_end, plain, room);
  if (frame) return frame;
  compressors.delete(level);
  return zstdCompressSync(plain, { params: { [constants.ZSTD_c_compressionLevel]: level }, chunkSize: room });
}

/**
 * Opens a frame that must hold at most `length` bytes; throws what node:zlib throws if it is not one or holds more. The
 * result lies in memory of this thread that the next call of `decompress` uses again.
 */
export function decompress(frame: Uint8Array, length: number): Buffer {
  // Half a frame would leave the context in the middle of it: the next frame would then be taken for its rest.
  if (zstdFrameBytes(frame) === frame.byteLength) {
    decompressor ??= Context.over(createZstdDecompress({ chunkSize: 64 }));
    const plain = decompressor?.run(constants.ZSTD_e_continue, frame, length + 1);
    if (plain) return plain;
    decompressor = undefined;
  }
  return zstdDecompressSync(frame, { maxOutputLength: Math.max(1, length), chunkSize: Math.max(64, length) });
}

const compressors = new Map<number, Context>();
let decompressor: Context | undefined;

function openCompressor(level: number): Context | undefined {
  const stream = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: level }, chunkSize: 64 });
  const context = Context.over(stream);
  if (context) compressors.set(level, context);
  return context;
}

/** Most blobs are below this: the output seldom has to grow. */
const leastOutput = 1 << 20;

interface Handle {
  writeSync(
    flush: number,
    input: Uint8Array,
    inputAt: number,
    inputBytes: number,
    output: Uint8Array,
    outputAt: number,
    outputBytes: number,
  ): void;
  onerror: () => void;
}

class Context {
  readonly #handle: Handle;
  /** What the last call left: bytes free in the output, bytes not taken from the input. */
  readonly #left: Uint32Array;
  #output = Buffer.alloc(0);
  #failed = false;

  private constructor(handle: Handle, left: Uint32Array) {
    this.#handle = handle;
    this.#left = left;
    handle.onerror = () => {
      this.#failed = true;
    };
  }

  static over(stream: object): Context | undefined {
    const { _handle: handle, _writeState: left } = stream as { _handle?: Handle; _writeState?: unknown };
    if (typeof handle?.writeSync !== 'function' || !(left instanceof Uint32Array) || left.length < 2) return undefined;
    return new Context(handle, left);
  }

  /** `undefined` if it failed, or filled the room to its last byte; the context is then of no use any more. */
  run(flush: number, input: Uint8Array, room: number): Buffer | undefined {
    if (this.#output.byteLength < room) this.#output = Buffer.allocUnsafeSlow(Math.max(room, leastOutput));
    this.#handle.writeSync(flush, input, 0, input.byteLength, this.#output, 0, room);
    const [free, unread] = this.#left;
    return this.#failed || free === 0 || unread > 0 ? undefined : this.#output.subarray(0, room - free);
  }
}
