/** What a zstd frame says of itself, without opening it (RFC 8878, 3.1.1): where it ends, and how long its content is. */
const magic = 0xfd2fb528;
const blockHeaderBytes = 3;
const checksumBytes = 4;
/** By the two bits of the frame header descriptor. */
const dictionaryIdBytes = [0, 1, 2, 4] as const;
const contentSizeBytes = [0, 2, 4, 8] as const;

/** The length of the one frame at the start of `bytes`; `undefined` if it is not a whole one. */
export function zstdFrameBytes(bytes: Uint8Array): number | undefined {
  const { byteLength } = bytes;
  if (byteLength < 6) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, byteLength);
  if (view.getUint32(0, true) !== magic) return undefined;
  const descriptor = bytes[4];
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >> 6;
  const windowAndSize = isSingleSegment ? Math.max(1, contentSizeBytes[sizeFlag]) : 1 + contentSizeBytes[sizeFlag];
  let at = 5 + windowAndSize + dictionaryIdBytes[descriptor & 3];
  for (let isLast = false; !isLast; ) {
    if (at + blockHeaderBytes > byteLength) return undefined;
    const header = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16);
    isLast = (header & 1) === 1;
    const type = (header >> 1) & 3;
    // A block of type 1 is one byte, repeated.
    at += blockHeaderBytes + (type === 1 ? 1 : header >> 3);
  }
  if ((descriptor & 4) !== 0) at += checksumBytes;
  return at <= byteLength ? at : undefined;
}

/** The bytes the frame at the start of `bytes` says it holds; `undefined` if it does not say it in 32 bits. */
export function zstdContentBytes(bytes: Uint8Array): number | undefined {
  const { byteLength } = bytes;
  if (byteLength < 14) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, byteLength);
  const descriptor = bytes[4];
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const at = 5 + (isSingleSegment ? 0 : 1) + dictionaryIdBytes[descriptor & 3];
  switch (descriptor >> 6) {
    case 0:
      return isSingleSegment ? bytes[at] : undefined;
    case 1:
      return view.getUint16(at, true) + 256;
    case 2:
      return view.getUint32(at, true);
    default:
      return undefined;
  }
}
