/** Choosing some packs to read, so that a large repository can be read in parts. */
import { randomInt } from 'node:crypto';
import { HoldfastError } from '../../base/errors.ts';

/** The packs whose ids begin with one of these bytes. */
export interface PackGroups {
  readonly groups: ReadonlySet<number>;
}

/** `n/t`: the n-th of t parts, always the same packs for the same n and t (restic's rule) · `x%` of the packs' bytes at random · about so many bytes at random. */
export type PackSubset = string | number | PackGroups;

/** The ids of the chosen packs; all without a subset. `usage.invalid` if it is none of the forms. */
export function choosePacks(packSizes: ReadonlyMap<string, number>, subset?: PackSubset): string[] {
  const ids = [...packSizes.keys()];
  if (subset === undefined) return ids;
  if (typeof subset === 'object') return ids.filter((id) => subset.groups.has(firstByte(id)));
  if (typeof subset === 'number') return atRandom(packSizes, subset);
  const part = /^(\d+)\/(\d+)$/.exec(subset);
  if (part) return partOf(ids, Number(part[1]), Number(part[2]), subset);
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(subset);
  if (!percent || Number(percent[1]) > 100 || Number(percent[1]) === 0) throw malformed(subset);
  const bytes = packSizes.values().reduce((sum, size) => sum + size, 0);
  return atRandom(packSizes, (bytes * Number(percent[1])) / 100);
}

/** Packs are told apart by the first byte of their ids, which is evenly spread. */
function partOf(ids: readonly string[], part: number, parts: number, subset: string): string[] {
  if (part < 1 || part > parts || parts > 256) throw malformed(subset);
  return ids.filter((id) => firstByte(id) % parts === part - 1);
}

/** The groups of packs (by the first byte of their ids) that the subset has completely, whichever packs there are. */
export function wholeGroups(subset?: PackSubset): ReadonlySet<number> {
  const all = new Set(Array.from({ length: 256 }, (_, group) => group));
  if (subset === undefined) return all;
  if (typeof subset === 'object') return subset.groups;
  const part = typeof subset === 'string' ? /^(\d+)\/(\d+)$/.exec(subset) : undefined;
  if (!part) return new Set();
  return new Set([...all].filter((group) => group % Number(part[2]) === Number(part[1]) - 1));
}

function firstByte(id: string): number {
  return Number.parseInt(id.slice(0, 2), 16);
}

function atRandom(packSizes: ReadonlyMap<string, number>, bytes: number): string[] {
  const ids = [...packSizes.keys()];
  const chosen: string[] = [];
  for (let left = bytes; left > 0 && ids.length > 0; ) {
    const at = randomInt(ids.length);
    const [id] = ids.splice(at, 1, ids.at(-1)!);
    ids.pop();
    chosen.push(id);
    left -= packSizes.get(id)!;
  }
  return chosen;
}

function malformed(subset: string): HoldfastError {
  return new HoldfastError({
    code: 'usage.invalid',
    message: `«${subset}» is no subset of the packs`,
    remedy: 'Write it like 1/7 (one of at most 256 parts), 10% or 5GiB.',
  });
}
