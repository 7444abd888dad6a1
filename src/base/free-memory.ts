/** Memory that is given back at once. */

/** Above this a buffer is never cut from Node's pool. */
const pooledBytes = 64 << 10;

/**
 * Gives the memory behind a buffer back now instead of at the next garbage collection. node:crypto and node:zlib return new
 * buffers from every call; at hundreds of MB a second and thread, the collector lets 60 MB and more of them pile up.
 * Only for buffers such a call has just returned: everything that shares the memory becomes empty.
 */
export function freeMemory(bytes: Uint8Array): void {
  const { buffer } = bytes;
  const own = buffer.byteLength === bytes.byteLength || buffer.byteLength > pooledBytes;
  if (own && buffer instanceof ArrayBuffer && buffer.byteLength > 0) buffer.transfer(0);
}
