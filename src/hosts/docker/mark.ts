/** Finding a mark in a stream that is cut anywhere. */

/** Where `mark` starts in `bytes`, or where a part of it starts at the very end (`whole` is false then); the length if neither. */
export function indexOfMark(bytes: Buffer, mark: Buffer): { readonly at: number; readonly whole: boolean } {
  const found = bytes.indexOf(mark);
  if (found >= 0) return { at: found, whole: true };
  for (let at = Math.max(0, bytes.length - mark.length + 1); at < bytes.length; at++) {
    if (mark.compare(bytes, at, bytes.length, 0, bytes.length - at) === 0) return { at, whole: false };
  }
  return { at: bytes.length, whole: false };
}
