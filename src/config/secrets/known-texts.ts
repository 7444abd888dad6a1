/** Takes texts that are known out of other texts, in one pass however many they are. */

export interface KnownTexts {
  isIn(text: string): boolean;
  /** With `mark` instead of each; where some overlap, one mark for all of them, so that no part of any is left. */
  remove(text: string, mark: string): string;
}

/** Memory: the texts. Time of a search: the length of what is searched times that of the shortest, and what is found. */
export function knownTexts(texts: Iterable<string>): KnownTexts {
  const all = [...new Set(texts)].filter((one) => one !== '').toSorted((a, b) => b.length - a.length);
  const prefix = all.at(-1)?.length ?? 0;
  // Longest first within each.
  const byPrefix = Map.groupBy(all, (one) => one.slice(0, prefix));
  const lengthAt = (text: string, at: number): number =>
    byPrefix.get(text.slice(at, at + prefix))?.find((one) => text.startsWith(one, at))?.length ?? 0;
  const found = (text: string): Iterable<readonly [start: number, end: number]> =>
    prefix === 0 ? [] : rangesOf(text, prefix, lengthAt);
  return {
    isIn: (text) => !found(text)[Symbol.iterator]().next().done,
    remove(text, mark) {
      let [clean, copied] = ['', 0];
      for (const [start, end] of found(text)) {
        clean += text.slice(copied, start) + mark;
        copied = end;
      }
      return copied === 0 ? text : clean + text.slice(copied);
    },
  };
}

/** Of everything found, what overlaps as one. */
function* rangesOf(
  text: string,
  shortest: number,
  lengthAt: (text: string, at: number) => number,
): Generator<readonly [number, number]> {
  let open: { readonly start: number; end: number } | undefined;
  for (let at = 0; at + shortest <= text.length; at++) {
    if (open && at >= open.end) {
      yield [open.start, open.end];
      open = undefined;
    }
    const length = lengthAt(text, at);
    if (length === 0) continue;
    open ??= { start: at, end: at };
    open.end = Math.max(open.end, at + length);
  }
  if (open) yield [open.start, open.end];
}
