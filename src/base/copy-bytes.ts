/** Copying where shared memory is involved. */

/**
 * Copies `source` to `target` at `start`. On shared memory `TypedArray.set` copies byte by byte, ten times slower, if the two
 * are not aligned alike (nodejs/node#62032); `Buffer.copy` of a part of a buffer does not.
 */
export function copyBytes(source: Uint8Array, target: Uint8Array, start = 0): void {
  if (!isShared(source) && !isShared(target)) {
    target.set(source, start);
    return;
  }
  if (start + source.byteLength > target.byteLength) throw new RangeError('the target is too short');
  Buffer.from(source.buffer).copy(target, start, source.byteOffset, source.byteOffset + source.byteLength);
}

function isShared(bytes: Uint8Array): boolean {
  return bytes.buffer instanceof SharedArrayBuffer;
}
