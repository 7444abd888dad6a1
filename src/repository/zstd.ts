/** zstd with output in one piece: node:zlib otherwise grows it in steps of 16 KiB, which costs a fifth of the time. */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

/** What zstd needs at most for input that does not shrink (its COMPRESSBOUND), and a little more. */
function boundBytes(length: number): number {
  return length + (length >> 8) + 1024;
}

/** A frame; its memory is its own, see `freeMemory`. */
export function compress(plain: Uint8Array, level: number): Buffer {
  const params = { [constants.ZSTD_c_compressionLevel]: level };
  return zstdCompressSync(plain, { params, chunkSize: boundBytes(plain.byteLength) });
}

/** Opens a frame that must hold at most `length` bytes; throws what node:zlib throws if it is not one or holds more. */
export function decompress(frame: Uint8Array, length: number): Buffer {
  return zstdDecompressSync(frame, { maxOutputLength: Math.max(1, length), chunkSize: Math.max(64, length) });
}
