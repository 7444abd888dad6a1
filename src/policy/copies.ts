/**
 * Which snapshots of one repository are in another one as copies, and which should be: pure judgements over what both list.
 * A copy is known as `restic copy` knows it (cmd/restic/cmd_copy.go): it names the snapshot it came from in `original`, and
 * says the same about time, tree, paths, tags and who made it.
 */
import type { Retention } from '../model/policy.ts';
import { repairedTag, type StoredSnapshot, sourceOf } from '../model/snapshot.ts';
import { applyRetention, type RetentionFacts } from './retention.ts';

export interface CopyMatch {
  /** Snapshots that the other repository does not have, newest first. */
  readonly missing: readonly StoredSnapshot[];
  /** The others, newest first, each with its counterpart there. */
  readonly present: readonly { readonly snapshot: StoredSnapshot; readonly copy: StoredSnapshot }[];
}

/** Compares what two repositories list, in any order. */
export function matchCopies(from: readonly StoredSnapshot[], to: readonly StoredSnapshot[]): CopyMatch {
  const candidates = new Map<string, StoredSnapshot[]>();
  for (const one of to) {
    for (const id of new Set([one.id, persistentId(one)])) candidates.set(id, [...(candidates.get(id) ?? []), one]);
  }
  const missing: StoredSnapshot[] = [];
  const present: { snapshot: StoredSnapshot; copy: StoredSnapshot }[] = [];
  for (const snapshot of from.toSorted(newestFirst)) {
    const related = candidates.get(persistentId(snapshot)) ?? [];
    const copy = related.find((one) => isSame(one, snapshot));
    if (copy) present.push({ snapshot, copy });
    // What a repair could save is less than what the other repository has of the same state.
    else if (!isRepaired(snapshot) || related.every(isRepaired)) missing.push(snapshot);
  }
  return { missing, present };
}

/** The id a snapshot had where it was made: it stays the same through any number of copies. */
export function persistentId(snapshot: StoredSnapshot): string {
  return snapshot.original ?? snapshot.id;
}

function isRepaired({ tags }: StoredSnapshot): boolean {
  return tags?.includes(repairedTag) === true;
}

/** Everything but ids, parent and origin. */
function isSame(a: StoredSnapshot, b: StoredSnapshot): boolean {
  return (
    a.tree === b.tree &&
    a.timeMs === b.timeMs &&
    (a.hostname ?? '') === (b.hostname ?? '') &&
    (a.username ?? '') === (b.username ?? '') &&
    (a.uid ?? 0) === (b.uid ?? 0) &&
    (a.gid ?? 0) === (b.gid ?? 0) &&
    JSON.stringify(a.excludes ?? []) === JSON.stringify(b.excludes ?? []) &&
    sameWords(a.paths, b.paths) &&
    sameWords(a.tags ?? [], b.tags ?? [])
  );
}

function sameWords(a: readonly string[], b: readonly string[]): boolean {
  return JSON.stringify(a.toSorted()) === JSON.stringify(b.toSorted());
}

export interface WantedFacts extends Pick<RetentionFacts, 'nowMs' | 'localOffsetMinutes'> {
  /** What the other repository keeps of each source; a source that is not in it keeps everything. */
  readonly keep: ReadonlyMap<string, Retention | undefined>;
  /** Pinned where they are: wanted whatever the rules say. */
  readonly pins: ReadonlySet<string>;
}

/**
 * Of what is missing, what the other repository would keep if it had it, newest first: what its retention would remove
 * again is not sent at all, tonight or any other night.
 */
export function wantedCopies(
  { missing }: Pick<CopyMatch, 'missing'>,
  to: readonly StoredSnapshot[],
  facts: WantedFacts,
): StoredSnapshot[] {
  const wanted = new Set<StoredSnapshot>();
  const pinned = new Map(missing.filter(({ id }) => facts.pins.has(id)).map(({ id }) => [id, ['pinned']] as const));
  for (const [source, group] of Map.groupBy(missing, sourceOf)) {
    const keep = source === undefined ? undefined : facts.keep.get(source);
    const own = to.filter((one) => sourceOf(one) === source);
    const decided = applyRetention([...own, ...group], keep ?? {}, { ...facts, protectedBy: pinned });
    const kept = new Set(decided.filter((one) => one.keep).map((one) => one.snapshot));
    for (const one of group) if (kept.has(one)) wanted.add(one);
  }
  return missing.filter((one) => wanted.has(one));
}

/** How far a source's copies in one repository are behind. */
export interface CopyLag {
  /** Snapshots that should be there and are not. */
  readonly missing: number;
  /** Of these, how many are newer than the newest one there. */
  readonly behind: number;
  /** The newest missing one. */
  readonly newest?: StoredSnapshot;
}

/** `wanted` and `to` of one source. */
export function lagOf(wanted: readonly StoredSnapshot[], to: readonly StoredSnapshot[]): CopyLag {
  const newestThereMs = Math.max(...to.map((one) => one.timeMs), Number.NEGATIVE_INFINITY);
  const sorted = wanted.toSorted(newestFirst);
  const newest = sorted.at(0);
  return {
    missing: wanted.length,
    behind: wanted.filter((one) => one.timeMs > newestThereMs).length,
    ...(newest ? { newest } : {}),
  };
}

function newestFirst(a: StoredSnapshot, b: StoredSnapshot): number {
  return b.timeMs - a.timeMs || (a.id < b.id ? -1 : 1);
}
