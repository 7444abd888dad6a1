/**
 * What a prune does with each pack, decided from figures alone (restic's rules): a pack nothing of which is needed is
 * removed; one that is partly needed is packed anew as long as more waste would remain than is allowed, the most wasteful
 * first; trees never keep waste, because they are read for everything; small packs are merged when there are enough.
 */
export interface PackFigures {
  readonly id: string;
  readonly sizeBytes: number;
  readonly usedBytes: number;
  readonly unusedBytes: number;
  readonly usedBlobs: number;
  readonly holds: 'data' | 'tree' | 'both';
}

export interface PruneLimits {
  /** Share of the remaining blobs' bytes that may stay unused, 0–1; 1 or more: nothing is packed anew for waste. Default 0.05. */
  readonly maxUnused?: number;
  /** Bytes of packs that are packed anew at most; the rest is left for the next prune. Default: no bound. */
  readonly maxRepackBytes?: number;
}

export interface PrunePlan {
  /** Packs nothing of which is needed. */
  readonly remove: readonly PackFigures[];
  /** Packs whose needed blobs go to new packs. */
  readonly repack: readonly PackFigures[];
  readonly keep: readonly PackFigures[];
  /** Bytes that become free, and bytes that stay although nothing needs them. */
  readonly freedBytes: number;
  readonly remainingUnusedBytes: number;
}

/** A pack below this size is small. */
const smallPackBytes = 4 << 20;
/** So many small packs of a kind are worth merging. */
const mergeFrom = 10;

export function planPrune(packs: readonly PackFigures[], limits: PruneLimits = {}): PrunePlan {
  const remove = packs.filter((pack) => pack.usedBlobs === 0);
  const used = packs.filter((pack) => pack.usedBlobs > 0);
  const small = smallPacks(used);
  const [candidates, keep] = partition(used, (pack) => isWasteful(pack) || small.has(pack));
  candidates.sort((a, b) => urgency(b, small) - urgency(a, small));
  const allowed = allowedUnused(used, limits.maxUnused ?? 0.05);
  let unused = sum(used, (pack) => pack.unusedBytes);
  let repackBytes = 0;
  const repack: PackFigures[] = [];
  for (const pack of candidates) {
    const wanted = pack.holds !== 'data' || small.has(pack) || unused > allowed;
    const fits = repackBytes + pack.sizeBytes <= (limits.maxRepackBytes ?? Infinity);
    if (!wanted || !fits) {
      keep.push(pack);
      continue;
    }
    repack.push(pack);
    repackBytes += pack.sizeBytes;
    unused -= pack.unusedBytes;
  }
  const freedBytes = sum(remove, (pack) => pack.sizeBytes) + sum(repack, (pack) => pack.unusedBytes);
  return { remove, repack: mergeable(repack, keep), keep, freedBytes, remainingUnusedBytes: unused };
}

/** A single small pack without waste is not worth being copied into another one. */
function mergeable(repack: PackFigures[], keep: PackFigures[]): PackFigures[] {
  if (repack.length !== 1 || isWasteful(repack[0])) return repack;
  keep.push(repack[0]);
  return [];
}

function isWasteful(pack: PackFigures): boolean {
  return pack.unusedBytes > 0 || pack.holds === 'both';
}

function smallPacks(used: readonly PackFigures[]): ReadonlySet<PackFigures> {
  const small = used.filter((pack) => pack.sizeBytes < smallPackBytes && pack.holds !== 'both');
  const groups = [...Map.groupBy(small, (pack) => pack.holds).values()];
  return new Set(groups.filter((group) => group.length >= mergeFrom).flat());
}

/** Trees and mixed packs first, then small ones, then by the share that is wasted. */
function urgency(pack: PackFigures, small: ReadonlySet<PackFigures>): number {
  if (pack.holds !== 'data') return 3;
  return (small.has(pack) ? 1 : 0) + pack.unusedBytes / pack.sizeBytes;
}

function allowedUnused(used: readonly PackFigures[], share: number): number {
  return share >= 1 ? Infinity : (share / (1 - share)) * sum(used, (pack) => pack.usedBytes);
}

function partition<T>(items: readonly T[], test: (item: T) => boolean): [T[], T[]] {
  return [items.filter(test), items.filter((item) => !test(item))];
}

function sum(packs: readonly PackFigures[], bytes: (pack: PackFigures) => number): number {
  return packs.reduce((total, pack) => total + bytes(pack), 0);
}
