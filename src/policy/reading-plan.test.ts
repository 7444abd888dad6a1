import fc from 'fast-check';
import { expect, it } from 'vitest';
import { dueGroups, groupOfPack, readingGroups } from './reading-plan.ts';

const dayMs = 86_400_000;
const startMs = Date.UTC(2026, 10, 1);

/** Runs at the given times; returns how many groups each read and the longest time any group was left unread. */
function rotate(times: readonly number[], withinMs: number, everyMs: number) {
  const readAtMs = new Map<number, number>();
  const counts: number[] = [];
  let longestMs = 0;
  let sinceMs: number | undefined;
  for (const nowMs of times) {
    const due = dueGroups({ nowMs, withinMs, everyMs, sinceMs, readAtMs });
    sinceMs ??= nowMs;
    for (const { group } of due) {
      longestMs = Math.max(longestMs, nowMs - (readAtMs.get(group) ?? sinceMs));
      readAtMs.set(group, nowMs);
    }
    counts.push(due.length);
  }
  for (let group = 0; group < readingGroups; group++) {
    longestMs = Math.max(longestMs, times.at(-1)! - (readAtMs.get(group) ?? sinceMs!));
  }
  return { counts, longestMs, read: readAtMs.size };
}

it('reads everything within the time, about the same amount every day', () => {
  const days = Array.from({ length: 120 }, (_, i) => startMs + i * dayMs);
  const { counts, longestMs, read } = rotate(days, 30 * dayMs, dayMs);
  expect(read).toBe(readingGroups);
  expect(longestMs).toBeLessThanOrEqual(30 * dayMs);
  expect(Math.min(...counts)).toBeGreaterThanOrEqual(8);
  expect(Math.max(...counts)).toBeLessThanOrEqual(9);
});

it('keeps the time whatever the hours of the runs, as long as they come as often as was said', () => {
  const gaps = fc.array(fc.integer({ min: 1, max: dayMs }), { minLength: 50, maxLength: 90 });
  fc.assert(
    fc.property(gaps, fc.integer({ min: 2, max: 40 }), (steps, days) => {
      let atMs = startMs;
      const times = steps.map((step) => {
        atMs += step;
        return atMs;
      });
      expect(rotate(times, days * dayMs, dayMs).longestMs).toBeLessThanOrEqual(days * dayMs);
    }),
    { numRuns: 60 },
  );
});

it('makes up for runs that were missed, and says what is overdue', () => {
  const readAtMs = new Map(Array.from({ length: readingGroups }, (_, group) => [group, startMs + group]));
  const plan = (days: number) =>
    dueGroups({ nowMs: startMs + days * dayMs, withinMs: 30 * dayMs, everyMs: dayMs, sinceMs: startMs, readAtMs });
  expect(plan(10)).toHaveLength(86);
  expect(plan(31).every(({ reason }) => reason === 'overdue')).toBe(true);
  expect(plan(31)).toHaveLength(readingGroups);
});

it('begins with a share, and is not put off by times in the future', () => {
  const first = dueGroups({ nowMs: startMs, withinMs: 30 * dayMs, everyMs: dayMs, readAtMs: new Map() });
  expect(first).toHaveLength(9);
  expect(new Set(first.map(({ reason }) => reason))).toEqual(new Set(['turn']));
  const ahead = new Map([[7, startMs + 1000 * dayMs]]);
  const facts = { withinMs: 30 * dayMs, everyMs: dayMs, sinceMs: startMs, readAtMs: ahead };
  expect(dueGroups({ ...facts, nowMs: startMs + 30.5 * dayMs })).toHaveLength(255);
  expect(groupOfPack(`ff${'0'.repeat(62)}`)).toBe(255);
});
