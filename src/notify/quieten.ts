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

/** A trouble the channel was told of, or is about to be. */
export interface Standing {
  readonly trouble: string;
  /** The newest event of it. */
  readonly event: HoldfastEvent;
  readonly firstAtMs: number;
  readonly times: number;
  /** When the newest message about it is due, or was. */
  readonly dueAtMs: number;
  /** The first message is held back: it is tried again. */
  readonly isHeld: boolean;
}

export interface Situation {
  readonly nowMs: number;
  readonly rules: QuietRules;
  /** Whether the channel's own rules take the event. */
  readonly isTaken: boolean;
  /** Of this channel, by their keys. */
  readonly standing: ReadonlyMap<string, Standing>;
  /** When the channel's newest message went out. */
  readonly lastSentMs?: number;
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
/** However often it is tried again. */
const longestHoldMs = 6 * 3_600_000;

/** Decides on one event and one channel; events come in their order. */
export function decide(event: HoldfastEvent, situation: Situation): Decision {
  return isTrouble(event) ? decideOnTrouble(event, situation) : decideOnNews(event, situation);
}

function decideOnTrouble(event: HoldfastEvent, situation: Situation): Decision {
  if (!situation.isTaken) return nothing;
  const trouble = troubleKey(event);
  const { nowMs, rules } = situation;
  const known = situation.standing.get(trouble);
  const isSame = known && (lasts(event.type) || nowMs < known.dueAtMs + rules.repeatMs);
  const isUntold = !isSame || isHeldBack(known, nowMs);
  // The try before failed with another error, of which nobody was told.
  const before = [...situation.standing.values()].filter(
    (one) => one.trouble !== trouble && isHeldBack(one, nowMs) && isAboutSame(one.event, event),
  );
  const same = isSame ? [...before, known] : before;
  const times = same.reduce((sum, one) => sum + one.times, 1);
  const sinceMs = Math.min(event.atMs, ...same.map((one) => one.firstAtMs));
  const heldUntilMs = isUntold ? holdOf(event, sinceMs, rules) : undefined;
  const soon = Math.max(soonest(situation), heldUntilMs ?? 0);
  const dueAtMs = isUntold ? soon : nextTelling(known, situation, soon);
  const replaced = before.map((one) => one.trouble);
  return {
    tell: { dueAtMs, times, sinceMs, isRecovery: false },
    stands: { trouble, event, firstAtMs: sinceMs, times, dueAtMs, isHeld: heldUntilMs !== undefined },
    over: replaced,
    takes: isSame && isUntold ? [trouble] : [],
    drops: replaced,
  };
}

function isHeldBack({ isHeld, dueAtMs }: Standing, nowMs: number): boolean {
  return isHeld && nowMs < dueAtMs;
}

function isAboutSame(a: HoldfastEvent, b: HoldfastEvent): boolean {
  return a.type === b.type && a.source === b.source && a.repository === b.repository;
}

/** Until when a failure is kept back because it is tried again by itself. */
function holdOf({ facts }: HoldfastEvent, sinceMs: number, { retryMs }: QuietRules): number | undefined {
  if (retryMs === 0 || typeof facts.retryAtMs !== 'number') return undefined;
  return Math.min(facts.retryAtMs + retryMs, sinceMs + longestHoldMs);
}

/** With the message that is to come, or the next time it may be told. */
function nextTelling({ dueAtMs }: Standing, { nowMs, rules }: Situation, soon: number): number {
  if (rules.repeatMs === 0) return soon;
  return nowMs < dueAtMs ? dueAtMs : Math.max(soon, dueAtMs + rules.repeatMs);
}

function decideOnNews(event: HoldfastEvent, situation: Situation): Decision {
  const ended = [...situation.standing.values()].filter((one) => ends(event, one.event));
  const over = ended.map((one) => one.trouble);
  const isRecovery = ended.some((one) => !isHeldBack(one, situation.nowMs));
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

function soonest({ nowMs, rules, lastSentMs }: Situation): number {
  return Math.max(nowMs + rules.gatherMs, (lastSentMs ?? -Infinity) + rules.spacingMs);
}
