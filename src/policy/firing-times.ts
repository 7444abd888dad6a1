/**
 * When a schedule fires: cron on the calendar of a time zone, or every so often.
 *
 * Twice a year a clock on the wall is not what it was, and a schedule must neither miss a day nor have one twice:
 * - A time that does not exist (02:30 on the day in spring) is made up for at the first instant after the gap (03:00).
 *   Several such times fall together into one.
 * - A time that comes twice (02:30 on the day in autumn) counts the first time.
 * - A schedule whose hour begins with `*` means real hours: it fires in both hours of the day in autumn, and has nothing to
 *   make up for in spring.
 * This is what Vixie's cron does (cron(8), NOTES), except that it leaves the time of the gap to the first minute it is awake.
 */
import { createHash } from 'node:crypto';
import { calendarOf, zoneOffsetMs } from '../base/clock.ts';
import { type Cron, parseCron } from './cron.ts';

export type Timing =
  | { readonly kind: 'cron'; readonly cron: string; readonly timezone?: string }
  /** Counted from the epoch, so that a restart changes nothing: `6h` is 00:00, 06:00, 12:00 and 18:00 UTC. */
  | { readonly kind: 'interval'; readonly everyMs: number };

const dayMs = 86_400_000;
/** 29 February may be eight years away. */
const mostDays = 9 * 366;

/** The instants after `afterMs`, ascending, without end (a cron that never fires has none). */
export function* firingsAfter(timing: Timing, afterMs: number): Generator<number> {
  if (timing.kind === 'interval') {
    for (let slot = (Math.floor(afterMs / timing.everyMs) + 1) * timing.everyMs; ; slot += timing.everyMs) yield slot;
  }
  const cron = cronOf(timing.cron);
  const first = localDay(afterMs, timing.timezone) - 1;
  let lastMs = afterMs;
  for (let day = first, idle = 0; idle < mostDays; day++, idle++) {
    for (const instant of instantsOfDay(cron, day, timing.timezone)) {
      if (instant <= lastMs) continue;
      yield instant;
      lastMs = instant;
      idle = 0;
    }
  }
}

/** The first instant after `afterMs`; `undefined` if there is none. */
export function nextFiring(timing: Timing, afterMs: number): number | undefined {
  const { value } = firingsAfter(timing, afterMs).next();
  return value as number | undefined;
}

/** The last instant at or before `atMs`; `undefined` if there is none. */
export function previousFiring(timing: Timing, atMs: number): number | undefined {
  if (timing.kind === 'interval') return Math.floor(atMs / timing.everyMs) * timing.everyMs;
  const cron = cronOf(timing.cron);
  const last = localDay(atMs, timing.timezone) + 1;
  for (let day = last; day > last - mostDays; day--) {
    const found = instantsOfDay(cron, day, timing.timezone).findLast((instant) => instant <= atMs);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Those after `afterMs` and not after `toMs`, ascending: of very many the last `most`, and how many came before these. */
export function firingsBetween(
  timing: Timing,
  { afterMs, toMs, most }: { readonly afterMs: number; readonly toMs: number; readonly most: number },
): { readonly slots: readonly number[]; readonly before: number } {
  const slots: number[] = [];
  let before = 0;
  for (const slot of firingsAfter(timing, afterMs)) {
    if (slot > toMs) break;
    slots.push(slot);
    // Cut in halves, so that long lists are not moved at every step.
    if (slots.length > 2 * most) before += slots.splice(0, slots.length - most).length;
  }
  before += slots.splice(0, Math.max(0, slots.length - most)).length;
  return { slots, before };
}

/** How much later than its slot a run begins: 0 to `jitterMs`, always the same for the same slot. */
export function jitterOf(key: string, slotMs: number, jitterMs: number): number {
  if (jitterMs <= 0) return 0;
  const digest = createHash('sha256').update(`${key}@${slotMs}`).digest();
  return Math.floor((digest.readUIntBE(0, 6) / 2 ** 48) * (jitterMs + 1));
}

const crons = new Map<string, Cron>();

function cronOf(text: string): Cron {
  const known = crons.get(text);
  if (known) return known;
  const parsed = parseCron(text);
  // The configuration was checked: whoever comes here with another text has a fault.
  if (typeof parsed === 'string') throw new TypeError(`«${text}» is no schedule: ${parsed}`);
  crons.set(text, parsed);
  return parsed;
}

/** The number of the day a clock on the wall shows; 0 is 1 January 1970. */
function localDay(epochMs: number, timezone: string | undefined): number {
  return Math.floor((epochMs + zoneOffsetMs(epochMs, timezone)) / dayMs);
}

function instantsOfDay(cron: Cron, day: number, timezone: string | undefined): number[] {
  const { month, day: dayOfMonth } = calendarOf(day * dayMs, 0);
  if (!cron.onDay(month, dayOfMonth, (((day + 4) % 7) + 7) % 7)) return [];
  const offsets = offsetsAround(day, timezone);
  const instants = cron.minutes.flatMap((minute) => {
    const wallMs = day * dayMs + minute * 60_000;
    if (offsets.length === 1) return [wallMs - offsets[0]];
    const found = offsets.map((offset) => wallMs - offset).filter((at) => at + zoneOffsetMs(at, timezone) === wallMs);
    if (cron.everyHour) return found;
    return [found.at(0) ?? endOfGap(wallMs, offsets, timezone)];
  });
  return [...new Set(instants)].sort((a, b) => a - b);
}

/** The one offset from UTC of that day, or both of a day on which it changes: the larger first, which gives the earlier instant. */
function offsetsAround(day: number, timezone: string | undefined): number[] {
  // Zones are at most 14 hours ahead of UTC and 12 behind it.
  const ends = [day * dayMs - 14 * 3_600_000, (day + 1) * dayMs + 12 * 3_600_000];
  const offsets = ends.map((at) => zoneOffsetMs(at, timezone));
  return [...new Set(offsets)].sort((a, b) => b - a);
}

/** The first instant at which the clock on the wall shows more than `wallMs`, which it never shows. */
function endOfGap(wallMs: number, offsets: readonly number[], timezone: string | undefined): number {
  let before = wallMs - offsets[0];
  let after = wallMs - offsets[offsets.length - 1];
  while (after - before > 1000) {
    const middle = Math.floor((before + after) / 2000) * 1000;
    if (middle + zoneOffsetMs(middle, timezone) > wallMs) after = middle;
    else before = middle;
  }
  return after;
}
