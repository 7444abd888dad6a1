/**
 * The envelope of sealed JSON files in version 2 (restic design.rst, "Unpacked Data Format"): a 2, then zstd; or the JSON
 * itself. Index, snapshot and lock files have it. Config and key files have none: they are read before the version is known.
 */
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { messageOf } from '../../base/errors.ts';
import { decompress } from '../sealing/zstd.ts';
import { malformed, unsupported } from './malformed.ts';
import { zstdContentBytes } from './zstd-frame.ts';

const zstdMark = 2;
const openBrace = 0x7b;
const openBracket = 0x5b;
/** Indexes are the largest of these files: restic's hold at most 460,000 blobs of 200 bytes. */
const mostBytes = 256 << 20;
/** Up to here making a context for one frame takes longer than opening it. */
const smallBytes = 1 << 16;

/** What is to be sealed. In version 1 the JSON itself, not a copy. */
export function encodeUnpacked(json: Uint8Array, version: number): Uint8Array {
  if (version < 2) return json;
  return Buffer.concat([Uint8Array.of(zstdMark), zstdCompressSync(json)]);
}

/**
 * The JSON, which is a view of `bytes` if it was not compressed. Memory: at most 256 MiB. `repository.damaged` if it does not
 * decompress or to more than that, `repository.unsupported` if the encoding is not known.
 */
export function decodeUnpacked(bytes: Uint8Array): Uint8Array {
  const first = bytes.at(0);
  if (first === undefined) throw malformed('a file', 'it is empty');
  if (first === openBrace || first === openBracket) return bytes;
  if (first !== zstdMark) throw unsupported(`a file has the encoding ${first}, which this version does not know`);
  try {
    const frame = bytes.subarray(1);
    const length = zstdContentBytes(frame) ?? mostBytes;
    if (length <= smallBytes) return Buffer.from(decompress(frame, length));
    return zstdDecompressSync(frame, { maxOutputLength: mostBytes });
  } catch (error) {
    throw malformed('a compressed file', messageOf(error), error);
  }
}
