/**
 * Which snapshots stay, and why. The rules mean what restic's `forget --keep-*` mean (restic `snapshot_policy.go`), bucket
 * for bucket: periods are counted in each snapshot's own time zone, the oldest snapshot stays while a rule has some left
 * to give, `within` counts back from the newest snapshot that is not in the future.
 */
import { calendarOf, shiftCalendar, statedOffsetMinutes } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import type { Retention } from '../model/policy.ts';

/** A count that never runs out. */
export const unlimited = -1;

/** What retention needs to know of a snapshot. */
export interface DatedSnapshot {
  readonly id: string;
  /** RFC 3339 with the zone the snapshot was made in. */
  readonly time: string;
  readonly timeMs: number;
}

export interface RetentionDecision<S> {
  readonly snapshot: S;
  readonly keep: boolean;
  /** Why it stays, one phrase each; empty if it goes. */
  readonly reasons: readonly string[];
}

export interface RetentionFacts {
  readonly nowMs: number;
  /**
   * Minutes east of UTC of this machine's zone at an instant. With it, `within` counts a snapshot's days by the clock on
   * the wall if it was made in that zone, changes to and from summer time included, as restic does; without, by the
   * offset the snapshot states.
   */
  readonly localOffsetMinutes?: (epochMs: number) => number;
  /** Snapshots that stay whatever the rules say, by id, with the reason. They take their place in the buckets all the same. */
  readonly protectedBy?: ReadonlyMap<string, readonly string[]>;
}

export interface CalendarSpan {
  readonly years: number;
  readonly months: number;
  readonly days: number;
  readonly hours: number;
}

interface Bucket {
  left: number;
  last: string;
  readonly reason: string;
  readonly period: (snapshot: DatedSnapshot, position: number) => string;
}

/**
 * Decides about one group of snapshots (one source in one repository), newest first. Rules that are absent do not apply;
 * with no rule at all everything stays, because nobody asked for a removal.
 */
export function applyRetention<S extends DatedSnapshot>(
  snapshots: readonly S[],
  keep: Retention,
  facts: RetentionFacts,
): RetentionDecision<S>[] {
  const newestFirst = snapshots.toSorted((a, b) => compareMoments(momentOf(b), momentOf(a)) || (a.id < b.id ? -1 : 1));
  const buckets = bucketsOf(keep);
  const limit = withinLimit(newestFirst, keep.within, facts);
  const noRule = isEmptyRetention(keep);
  return newestFirst.map((snapshot, position) => {
    const isOldest = position === newestFirst.length - 1;
    const reasons = [...(facts.protectedBy?.get(snapshot.id) ?? [])];
    if (noRule) reasons.push('no retention rule');
    if (compareMoments(momentOf(snapshot), limit) > 0) reasons.push(`within ${keep.within}`);
    for (const bucket of buckets) {
      const reason = claim(bucket, snapshot, position, isOldest);
      if (reason !== undefined) reasons.push(reason);
    }
    return { snapshot, keep: reasons.length > 0, reasons };
  });
}

/** True if no rule would keep anything. */
export function isEmptyRetention(keep: Retention): boolean {
  const { within, ...counts } = keep;
  const spans = within !== undefined && !isZeroSpan(within);
  return !spans && Object.values(counts).every((count) => count === undefined || count === 0);
}

/** `1y5m7d2h` in any part and order; `undefined` if it is none. */
export function parseSpan(text: string): CalendarSpan | undefined {
  const parts = { y: 0, m: 0, d: 0, h: 0 };
  const trimmed = text.trim();
  if (!/^(?:-?\d+[ymdh])+$/.test(trimmed)) return undefined;
  for (const [, count, unit] of trimmed.matchAll(/(-?\d+)([ymdh])/g)) parts[unit as keyof typeof parts] = Number(count);
  return { years: parts.y, months: parts.m, days: parts.d, hours: parts.h };
}

function claim(bucket: Bucket, snapshot: DatedSnapshot, position: number, isOldest: boolean): string | undefined {
  if (bucket.left === 0) return undefined;
  const period = bucket.period(snapshot, position);
  const seen = period === bucket.last;
  if (seen && !isOldest) return undefined;
  bucket.last = period;
  if (bucket.left !== unlimited) bucket.left--;
  return seen ? `oldest ${bucket.reason}` : bucket.reason;
}

function bucketsOf(keep: Retention): Bucket[] {
  const bucket = (count: number | undefined, reason: string, period: Bucket['period']): Bucket => ({
    left: Math.max(count ?? 0, unlimited),
    last: '',
    reason,
    period,
  });
  return [
    bucket(keep.last, 'last snapshot', (_, position) => String(position)),
    bucket(keep.hourly, 'hourly snapshot', (snapshot) => {
      const c = ownCalendar(snapshot);
      return [c.year, c.month, c.day, c.hour].join('-');
    }),
    bucket(keep.daily, 'daily snapshot', (snapshot) => {
      const c = ownCalendar(snapshot);
      return [c.year, c.month, c.day].join('-');
    }),
    bucket(keep.weekly, 'weekly snapshot', (snapshot) => {
      const c = ownCalendar(snapshot);
      return `${c.isoYear}-${c.isoWeek}`;
    }),
    bucket(keep.monthly, 'monthly snapshot', (snapshot) => {
      const c = ownCalendar(snapshot);
      return `${c.year}-${c.month}`;
    }),
    bucket(keep.yearly, 'yearly snapshot', (snapshot) => String(ownCalendar(snapshot).year)),
  ];
}

function ownCalendar(snapshot: DatedSnapshot): ReturnType<typeof calendarOf> {
  return calendarOf(snapshot.timeMs, statedOffsetMinutes(snapshot.time));
}

/** An instant to the nanosecond: milliseconds since the epoch, and what a snapshot's time says beyond them. */
interface Moment {
  readonly ms: number;
  readonly ns: number;
}

function momentOf({ time, timeMs }: DatedSnapshot): Moment {
  const beyondMs = /\.\d{3}(\d{1,6})/.exec(time)?.[1] ?? '';
  return { ms: timeMs, ns: Number(beyondMs.padEnd(6, '0')) };
}

function compareMoments(a: Moment, b: Moment): number {
  if (a.ms !== b.ms) return a.ms < b.ms ? -1 : 1;
  return a.ns - b.ns;
}

/** Snapshots after this instant are within the span; +Infinity without the rule. */
function withinLimit(newestFirst: readonly DatedSnapshot[], within: string | undefined, facts: RetentionFacts): Moment {
  if (within === undefined || isZeroSpan(within)) return { ms: Number.POSITIVE_INFINITY, ns: 0 };
  const newest = newestFirst.find((snapshot) => snapshot.timeMs < facts.nowMs);
  if (!newest) return { ms: Number.NEGATIVE_INFINITY, ns: 0 };
  const span = spanOf(within);
  const back = { years: -span.years, months: -span.months, days: -span.days };
  const shiftedMs = shiftOnWall(newest, back, facts.localOffsetMinutes);
  return { ms: shiftedMs - span.hours * 3_600_000, ns: momentOf(newest).ns };
}

/** In the zone a snapshot was made in, if that is known, else by the offset it states. */
function shiftOnWall(
  { time, timeMs }: DatedSnapshot,
  by: Parameters<typeof shiftCalendar>[2],
  localOffsetMinutes: RetentionFacts['localOffsetMinutes'],
): number {
  const stated = statedOffsetMinutes(time);
  const shiftedMs = shiftCalendar(timeMs, stated, by);
  if (!localOffsetMinutes || /Z$/i.test(time) || localOffsetMinutes(timeMs) !== stated) return shiftedMs;
  // A time of day that the zone skips or has twice: the offset is looked up as Go's time.Date does it.
  const wallMs = shiftedMs + stated * 60_000;
  const firstMs = wallMs - localOffsetMinutes(wallMs) * 60_000;
  return wallMs - localOffsetMinutes(firstMs) * 60_000;
}

function isZeroSpan(within: string): boolean {
  return Object.values(spanOf(within)).every((count) => count === 0);
}

function spanOf(within: string): CalendarSpan {
  const span = parseSpan(within);
  if (span) return span;
  throw new HoldfastError({
    code: 'usage.invalid',
    message: `«${within}» is not a span of time`,
    remedy: 'Write it like 7d, 12h or 1y5m7d2h (years, months, days, hours).',
  });
}
