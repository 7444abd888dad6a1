/**
 * Which part of a repository's data is read next, so that all of it is read within a time and no run reads much more than
 * its share. Packs are told apart by the first byte of their ids, which is evenly spread: 256 groups, each remembered by
 * when it was last read. What is written into a group after that is read the next time, within the same time.
 */
export const readingGroups = 256;

export interface ReadingFacts {
  readonly nowMs: number;
  /** All data has to be read at least this often. */
  readonly withinMs: number;
  /** How long it usually is from one run to the next. */
  readonly everyMs: number;
  /** When reading in turn began; absent if this is the first run. */
  readonly sinceMs?: number;
  /** When each group was last read as a whole and found sound; absent for those that never were. */
  readonly readAtMs: ReadonlyMap<number, number>;
}

export interface DueGroup {
  /** First byte of the ids of its packs. */
  readonly group: number;
  /** overdue: was to be read before now · deadline: would be overdue by the next run · turn: its share of the time. */
  readonly reason: 'overdue' | 'deadline' | 'turn';
}

/**
 * The groups to read now, the longest unread first: every one that would become too old before the next run, and at least
 * as many as it takes to get through all of them in time. The share follows the time since the last run, so that runs that
 * were missed are made up for.
 */
export function dueGroups(facts: ReadingFacts): DueGroup[] {
  const { nowMs, withinMs, readAtMs } = facts;
  const sinceMs = Math.min(facts.sinceMs ?? nowMs, nowMs);
  // A clock that was set wrongly must not put a group off.
  const oldestFirst = Array.from({ length: readingGroups }, (_, group) => ({
    group,
    atMs: Math.min(readAtMs.get(group) ?? sinceMs, nowMs),
    never: !readAtMs.has(group),
  })).sort((a, b) => a.atMs - b.atMs || Number(b.never) - Number(a.never) || a.group - b.group);
  const lastMs = Math.min(nowMs, Math.max(sinceMs, ...readAtMs.values()));
  const isFirst = facts.sinceMs === undefined && readAtMs.size === 0;
  const elapsedMs = isFirst ? facts.everyMs : nowMs - lastMs;
  const share = Math.min(readingGroups, Math.ceil((readingGroups * elapsedMs) / withinMs));
  return oldestFirst.flatMap(({ group, atMs }, place): DueGroup[] => {
    const leftMs = atMs + withinMs - nowMs;
    if (leftMs < 0) return [{ group, reason: 'overdue' }];
    if (leftMs < facts.everyMs) return [{ group, reason: 'deadline' }];
    return place < share ? [{ group, reason: 'turn' }] : [];
  });
}

/** The group of a pack. */
export function groupOfPack(id: string): number {
  return Number.parseInt(id.slice(0, 2), 16);
}
