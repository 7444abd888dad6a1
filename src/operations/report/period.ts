/** The days of a period, as the calendar of a zone has them. */
import { firingsAfter } from '../../policy/firing-times.ts';

/** Where each day begins, and where the last one ends: `days + 1` instants. A day that begins amid one counts from there. */
export function dayBoundaries(sinceMs: number, untilMs: number, timezone: string | undefined): number[] {
  const boundaries = [sinceMs];
  for (const midnight of firingsAfter({ kind: 'cron', cron: '0 0 * * *', timezone }, sinceMs)) {
    if (midnight >= untilMs) break;
    boundaries.push(midnight);
  }
  return [...boundaries, untilMs];
}

/** Number of the day an instant is in; before the first 0, after the last the last. */
export function dayOf(boundaries: readonly number[], atMs: number): number {
  const after = boundaries.findIndex((boundary, i) => i > 0 && atMs < boundary);
  return after < 0 ? boundaries.length - 2 : after - 1;
}
