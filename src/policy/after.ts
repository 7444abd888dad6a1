/**
 * «After the dumps»: a run waits until the backups of the policies it names have ended, those of their newest slot at or
 * before its own, with everything that repeats them. One that failed does not hold it back: what comes after runs, and says
 * so. What never ends holds it back for a stated time only.
 */
import { longestGapMs, parseCron } from './cron.ts';
import { nextFiring, previousFiring, type Timing } from './firing-times.ts';

/** Waited for no longer than this after the run's own slot. */
export const afterLimitMs = 12 * 3_600_000;

export interface EndedRun {
  readonly policy: string;
  readonly slotMs: number;
  readonly source?: string;
  readonly state: string;
}

export interface Before {
  readonly policy: string;
  readonly slotMs: number;
}

/** The slots that come before a run with this slot. Policies without a schedule have none. */
export function slotsBefore(after: readonly string[], slotMs: number, timings: ReadonlyMap<string, Timing>): Before[] {
  return after.flatMap((policy) => {
    const timing = timings.get(policy);
    const before = timing && previousFiring(timing, slotMs);
    return before === undefined ? [] : [{ policy, slotMs: before }];
  });
}

/** Why a run waits for others, or `undefined` if it need not (any more). `open`: runs that are queued or running. */
export function waitsFor(
  before: readonly Before[],
  open: (before: Before) => number,
  { slotMs, nowMs }: { readonly slotMs: number; readonly nowMs: number },
): string | undefined {
  if (nowMs - slotMs >= afterLimitMs) return undefined;
  for (const one of before) {
    const count = open(one);
    if (count > 0)
      return `it comes after ${one.policy}, of which ${count} ${count === 1 ? 'run has' : 'runs have'} not ended`;
  }
  return undefined;
}

/**
 * The timing of what has no schedule of its own: that of the policy among `after` that is due least often; of equals, of the
 * one that comes last, which is the one after which the wait for the others is shortest. `undefined` if none has a timing.
 */
export function followedTiming(after: readonly string[], timings: ReadonlyMap<string, Timing>): Timing | undefined {
  const candidates = after.flatMap((policy) => timings.get(policy) ?? []);
  const longest = Math.max(...candidates.map(gapOf));
  const rarest = candidates.filter((timing) => gapOf(timing) === longest);
  const waits = rarest.map((timing) => ({ timing, waitMs: longestWait(timing, candidates) }));
  return waits.toSorted((a, b) => a.waitMs - b.waitMs).at(0)?.timing;
}

/** The longest time between two firings. */
export function gapOf(timing: Timing): number {
  if (timing.kind === 'interval') return timing.everyMs;
  const cron = parseCron(timing.cron);
  return (typeof cron === 'string' ? undefined : longestGapMs(cron)) ?? 0;
}

/** From the last firing of each of the others to a firing of this one, at some fixed moment far from changes of the clock. */
function longestWait(timing: Timing, others: readonly Timing[]): number {
  const referenceMs = 1_736_899_200_000; // 15 January 2025
  const slotMs = nextFiring(timing, referenceMs) ?? referenceMs;
  return Math.max(...others.map((other) => slotMs - (previousFiring(other, slotMs) ?? slotMs)));
}
