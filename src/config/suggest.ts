/** "Did you mean": the known name nearest to what was typed. */

const mostShown = 30;

/** The nearest of `known`, if it is near enough to be what was meant. */
export function nearest(typed: string, known: readonly string[]): string | undefined {
  const limit = Math.max(1, Math.floor(typed.length / 3));
  let best: { name: string; distance: number } | undefined;
  for (const name of known) {
    const distance = editDistance(typed.toLowerCase(), name.toLowerCase());
    if (distance <= limit && (!best || distance < best.distance)) best = { name, distance };
  }
  return best?.name;
}

/** A remedy: the nearest name, or the list of what there is. */
export function suggestion(typed: string, known: readonly string[], noun: string): string {
  const near = nearest(typed, known);
  if (near !== undefined) return `Did you mean «${near}»?`;
  if (known.length === 0) return `There is no ${noun} yet.`;
  const shown = known.toSorted().slice(0, mostShown);
  const more = known.length - shown.length;
  return `Known: ${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}.`;
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 20) return 99;
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, replaced);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) next[j] = Math.min(next[j], before[j - 2] + 1);
    }
    before = row;
    row = next;
  }
  return row[b.length];
}
