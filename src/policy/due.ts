/**
 * What is due: every slot between a schedule's mark (how far it was seen to) and now is decided exactly once.
 *
 * - The newest slot is run: in time, or caught up if nothing ran when it came.
 * - Older ones are missed. One run makes good for all of them, and each is reported.
 * - Without `catchUp`, what did not come in time is missed, too.
 * - A schedule that was never seen begins now: what would have been due before is nobody's loss.
 */

import { nextWithin } from './day-hours.ts';
import { firingsBetween, jitterOf, nextFiring } from './firing-times.ts';
import type { Schedule } from './run-plan.ts';

/** A slot that is decided this late is in time all the same: a restart takes a moment. */
export const inTimeMs = 5 * 60_000;
/** Of one schedule, so many missed slots are reported one by one; those before them in one sentence. */
export const mostMissed = 200;

export interface DueSlot {
  readonly schedule: Schedule;
  readonly slotMs: number;
  /** schedule: in time · catch-up: late · missed: not run, and reported. */
  readonly outcome: 'schedule' | 'catch-up' | 'missed';
  /** With its jitter. */
  readonly notBeforeMs: number;
  /** Why, for a missed one. */
  readonly reason?: string;
}

export interface DueDecision {
  readonly slots: readonly DueSlot[];
  /** New marks by key: only those that change. */
  readonly marks: ReadonlyMap<string, number>;
}

/** `seenToMs` by key of schedule; not there: never seen. Slots come in the order of time. */
export function decideDue(
  schedules: readonly Schedule[],
  seenToMs: ReadonlyMap<string, number>,
  nowMs: number,
): DueDecision {
  const slots: DueSlot[] = [];
  const marks = new Map<string, number>();
  for (const schedule of schedules) {
    const seen = seenToMs.get(schedule.key);
    // A mark in the future was made by a clock that was wrong: the slots until then must not wait for it.
    if (seen === undefined || seen > nowMs) {
      marks.set(schedule.key, nowMs);
      continue;
    }
    const decided = decideOne(schedule, seen, nowMs);
    if (decided.length > 0) marks.set(schedule.key, nowMs);
    slots.push(...decided);
  }
  return { slots: slots.sort((a, b) => a.slotMs - b.slotMs || (a.schedule.key < b.schedule.key ? -1 : 1)), marks };
}

function decideOne(schedule: Schedule, seenMs: number, nowMs: number): DueSlot[] {
  const found = firingsBetween(schedule.timing, { afterMs: seenMs, toMs: nowMs, most: mostMissed + 1 });
  const slots = found.slots.filter((slotMs) => counts(schedule, slotMs));
  const { before } = found;
  return slots.map((slotMs, i): DueSlot => {
    const notBeforeMs = slotMs + jitterOf(schedule.key, slotMs, schedule.jitterMs);
    const isInTime = nowMs - slotMs <= inTimeMs + schedule.jitterMs;
    const isNewest = i === slots.length - 1;
    const slot = { schedule, slotMs, notBeforeMs };
    if (isNewest && isInTime) return { ...slot, outcome: 'schedule' };
    if (isNewest && schedule.catchUp) return { ...slot, outcome: 'catch-up' };
    const earlier = i === 0 && before > 0 ? `, and ${before} more before it` : '';
    const why = isNewest ? 'nothing ran when it was due, and it is not to be caught up' : 'nothing ran when it was due';
    return { ...slot, outcome: 'missed', reason: `${why}${earlier}` };
  });
}

/** An interval with a window: a slot whose whole interval is outside of it is none; another one waits for it to open. */
function counts({ timing, window }: Schedule, slotMs: number): boolean {
  if (timing.kind !== 'interval' || !window) return true;
  return nextWithin(window, slotMs, window.timezone) < slotMs + timing.everyMs;
}

/** When something is due next; `undefined` if nothing ever is. */
export function nextDueMs(schedules: readonly Schedule[], nowMs: number): number | undefined {
  const known = new Map<string, number | undefined>();
  let next: number | undefined;
  for (const { timing } of schedules) {
    const key = JSON.stringify(timing);
    const at = known.has(key) ? known.get(key) : nextFiring(timing, nowMs);
    known.set(key, at);
    if (at !== undefined && (next === undefined || at < next)) next = at;
  }
  return next;
}
