/**
 * When a channel is told, so that it is heard and not switched off: what happens at about the same time goes together, a
 * failure that repeats is told once in a while and then says how often, and who was told of a failure is told of its end.
 */
import type { HoldfastEvent } from '../model/event.ts';
import { ends, isTrouble, lasts, troubleKey } from './subject.ts';

export interface QuietRules {
  /** How long the first event waits for others. */
  readonly gatherMs: number;
  /** The least time between two messages of a channel. */
  readonly spacingMs: number;
  /** The same trouble is told again after this time at the earliest. */
  readonly repeatMs: number;
  /** What is tried again by itself is told when that failed, too; or so long after it was to begin. */
  readonly retryMs: number;
}

export const quietRules: Readonly<Record<'people' | 'machines', QuietRules>> = {
  people: { gatherMs: 30_000, spacingMs: 5 * 60_000, repeatMs: 12 * 3_600_000, retryMs: 3_600_000 },
  machines: { gatherMs: 0, spacingMs: 0, repeatMs: 0, retryMs: 0 },
};

/**
 * For a program that ends: what happened by then goes together, and nobody knows when it is called again, so that what is tried
 * again then is told now.
 */
export const quietRulesAtEnd: typeof quietRules = {
  people: { ...quietRules.people, gatherMs: 0, spacingMs: 0, retryMs: 0 },
  machines: quietRules.machines,
};

/** A trouble the channel was told of, or is about to be. */
export interface Standing {
  readonly trouble: string;
  /** The newest event of it. */
  readonly event: HoldfastEvent;
  readonly firstAtMs: number;
  readonly times: number;
  /** When the newest message about it is due, or was. */
  readonly dueAtMs: number;
  /** That message is held back: what failed is tried again by itself. */
  readonly isHeld: boolean;
  /** There was a message about it before that one. */
  readonly wasTold: boolean;
}

export interface Situation {
  readonly nowMs: number;
  readonly rules: QuietRules;
  /** Whether the channel's own rules take the event. */
  readonly isTaken: boolean;
  /** Of this channel, by their keys. */
  readonly standing: ReadonlyMap<string, Standing>;
}

export interface Decision {
  /** The event is told, then; absent: it is not. */
  readonly tell?: {
    readonly dueAtMs: number;
    readonly times: number;
    readonly sinceMs: number;
    readonly isRecovery: boolean;
  };
  /** What stands now that did not stand so before. */
  readonly stands?: Standing;
  /** Troubles that are over. */
  readonly over: readonly string[];
  /** What waits to be told of these goes with this event. */
  readonly takes: readonly string[];
  /** What waits to be told of these is not told any more. */
  readonly drops: readonly string[];
}

const nothing: Decision = { over: [], takes: [], drops: [] };
const longestHoldMs = 6 * 3_600_000;

/** Decides on one event and one channel; events come in their order. */
export function decide(event: HoldfastEvent, situation: Situation): Decision {
  return isTrouble(event) ? decideOnTrouble(event, situation) : decideOnNews(event, situation);
}

function decideOnTrouble(event: HoldfastEvent, situation: Situation): Decision {
  if (!situation.isTaken) return nothing;
  const trouble = troubleKey(event);
  const { nowMs, rules } = situation;
  const newest = situation.standing.get(trouble);
  const known = newest && (lasts(event.type) || nowMs < newest.dueAtMs + rules.repeatMs) ? newest : undefined;
  // The try before failed with another error, of which nobody was told.
  const before = [...situation.standing.values()].filter(
    (one) => one.trouble !== trouble && isHeldBack(one, nowMs) && isAboutSame(one.event, event),
  );
  const same = known ? [...before, known] : before;
  const sinceMs = Math.min(event.atMs, ...same.map((one) => one.firstAtMs));
  const times = same.reduce((sum, one) => sum + one.times, 1);
  const wasTold = same.some((one) => one.wasTold || nowMs >= one.dueAtMs);
  const { dueAtMs, isHeld } = nextTelling(event, { known, sinceMs }, situation);
  const replaced = before.map((one) => one.trouble);
  return {
    tell: { dueAtMs, times, sinceMs, isRecovery: false },
    stands: { trouble, event, firstAtMs: sinceMs, times, dueAtMs, isHeld, wasTold },
    over: replaced,
    takes: known && isHeldBack(known, nowMs) ? [trouble] : [],
    drops: replaced,
  };
}

/** With the message that is to come, or as soon as it may be told again; later where it is tried again by itself. */
function nextTelling(
  event: HoldfastEvent,
  { known, sinceMs }: { known: Standing | undefined; sinceMs: number },
  situation: Situation,
): { dueAtMs: number; isHeld: boolean } {
  const { nowMs, rules } = situation;
  const isWaiting = known !== undefined && nowMs < known.dueAtMs;
  if (isWaiting && !known.isHeld && rules.repeatMs > 0) return { dueAtMs: known.dueAtMs, isHeld: false };
  const againMs = known && !isWaiting ? known.dueAtMs + rules.repeatMs : 0;
  const openMs = Math.max(soonest(situation), againMs);
  const heldUntilMs = holdOf(event, sinceMs, rules);
  return { dueAtMs: Math.max(openMs, heldUntilMs), isHeld: heldUntilMs > openMs };
}

function isHeldBack({ isHeld, dueAtMs }: Standing, nowMs: number): boolean {
  return isHeld && nowMs < dueAtMs;
}

function isAboutSame(a: HoldfastEvent, b: HoldfastEvent): boolean {
  return a.type === b.type && a.source === b.source && a.repository === b.repository;
}

/** Until when a failure is kept back because it is tried again by itself: not for ever, however often. */
function holdOf({ facts, atMs }: HoldfastEvent, sinceMs: number, { retryMs }: QuietRules): number {
  if (retryMs === 0 || typeof facts.retryAtMs !== 'number') return 0;
  const recentMs = atMs - sinceMs < longestHoldMs ? sinceMs : atMs;
  return Math.min(facts.retryAtMs + retryMs, recentMs + longestHoldMs);
}

function decideOnNews(event: HoldfastEvent, situation: Situation): Decision {
  const ended = [...situation.standing.values()].filter((one) => ends(event, one.event));
  const over = ended.map((one) => one.trouble);
  const isRecovery = ended.some((one) => one.wasTold || !isHeldBack(one, situation.nowMs));
  if (!situation.isTaken && !isRecovery) return { over, takes: [], drops: over };
  const times = isRecovery ? ended.reduce((sum, one) => sum + one.times, 0) : 1;
  const sinceMs = isRecovery ? Math.min(...ended.map((one) => one.firstAtMs)) : event.atMs;
  return {
    tell: { dueAtMs: soonest(situation), times, sinceMs, isRecovery },
    over,
    takes: isRecovery ? over : [],
    drops: isRecovery ? [] : over,
  };
}

function soonest({ nowMs, rules }: Situation): number {
  return nowMs + rules.gatherMs;
}
