/** Bytes of a text like `5GiB`, `200M` or `4096`; binary units. `undefined` if it is none. */
export function parseByteCount(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([kmgt])i?b?|b)?$/i.exec(text.trim());
  if (!match) return undefined;
  const power = ' kmgt'.indexOf((match.at(2) ?? ' ').toLowerCase());
  return Math.round(Number(match[1]) * 1024 ** power);
}
