/** The envelope of sealed JSON files in version 2 (restic design.rst, "Unpacked Data Format"): a 2, then zstd; or the JSON itself. */
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { malformed } from './malformed.ts';

const zstdMark = 2;
/** Indexes are the largest of these files, a few MiB; a frame that opens to more than this is an attack. */
const mostBytes = 1 << 30;

export function encodeUnpacked(json: Uint8Array, version: number): Uint8Array {
  if (version < 2) return json;
  return Buffer.concat([Uint8Array.of(zstdMark), zstdCompressSync(json)]);
}

export function decodeUnpacked(bytes: Uint8Array): Uint8Array {
  const first = bytes.at(0);
  if (first === 0x7b || first === 0x5b) return bytes; // { or [
  if (first !== zstdMark) {
    throw new HoldfastError({
      code: 'repository.unsupported',
      message: `a file has an encoding (${first ?? 'empty'}) this version does not know`,
      remedy: 'Use a newer Holdfast.',
    });
  }
  try {
    return zstdDecompressSync(bytes.subarray(1), { maxOutputLength: mostBytes });
  } catch (error) {
    throw malformed('a compressed file', messageOf(error), error);
  }
}
