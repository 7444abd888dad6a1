/** The first string of SSH's encoding: of a public key, its type (RFC 4253, section 6.6). `undefined` if there is none. */
export function parseSshString(blob: Buffer): string | undefined {
  if (blob.length < 4) return undefined;
  const length = blob.readUInt32BE();
  return length <= blob.length - 4 && length <= 64 ? blob.toString('latin1', 4, 4 + length) : undefined;
}
