/**
 * Gives a large buffer's memory back at once instead of at the next garbage collection. node:crypto and node:zlib return
 * new buffers from every call; at hundreds of MB a second and thread, the collector lets 60 MB and more of them pile up.
 */
export function freeMemory(bytes: Uint8Array): void {
  const { buffer } = bytes;
  // Only memory that is wholly this buffer's: small ones are cut from pools others use.
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength && buffer.byteLength > 0) {
    buffer.transfer(0);
  }
}
