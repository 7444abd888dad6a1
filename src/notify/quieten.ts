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
}

export const quietRules: Readonly<Record<'people' | 'machines', QuietRules>> = {
  people: { gatherMs: 30_000, spacingMs: 5 * 60_000, repeatMs: 12 * 3_600_000 },
  machines: { gatherMs: 0, spacingMs: 0, repeatMs: 0 },
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
}

export interface Situation {
  readonly nowMs: number;
  readonly rules: QuietRules;
  /** Whether the channel's own rules take the event. */
  readonly isTaken: boolean;
  /** Of this channel. */
  readonly standing: Iterable<Standing>;
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
  /** Troubles that are over; what is not told of them yet goes with this event. */
  readonly over: readonly string[];
}

/** Decides on one event and one channel; events come in their order. */
export function decide(event: HoldfastEvent, situation: Situation): Decision {
  return isTrouble(event) ? decideOnTrouble(event, situation) : decideOnNews(event, situation);
}

function decideOnTrouble(event: HoldfastEvent, situation: Situation): Decision {
  if (!situation.isTaken) return { over: [] };
  const trouble = troubleKey(event);
  const { nowMs, rules } = situation;
  const known = find(situation.standing, (one) => one.trouble === trouble);
  const isSame = known && (lasts(event.type) || nowMs < known.dueAtMs + rules.repeatMs);
  const soon = soonest(situation);
  const times = isSame ? known.times + 1 : 1;
  const sinceMs = isSame ? known.firstAtMs : event.atMs;
  const dueAtMs = isSame ? nextTelling(known, situation, soon) : soon;
  return {
    tell: { dueAtMs, times, sinceMs, isRecovery: false },
    stands: { trouble, event, firstAtMs: sinceMs, times, dueAtMs },
    over: [],
  };
}

/** With the message that is to come, or the next time it may be told. */
function nextTelling({ dueAtMs }: Standing, { nowMs, rules }: Situation, soon: number): number {
  if (rules.repeatMs === 0) return soon;
  return nowMs < dueAtMs ? dueAtMs : Math.max(soon, dueAtMs + rules.repeatMs);
}

function decideOnNews(event: HoldfastEvent, situation: Situation): Decision {
  const over = [...situation.standing].filter((one) => ends(event, one.event));
  if (!situation.isTaken && over.length === 0) return { over: [] };
  const isRecovery = over.length > 0;
  const times = isRecovery ? over.reduce((sum, one) => sum + one.times, 0) : 1;
  const sinceMs = isRecovery ? Math.min(...over.map((one) => one.firstAtMs)) : event.atMs;
  return {
    tell: { dueAtMs: soonest(situation), times, sinceMs, isRecovery },
    over: over.map((one) => one.trouble),
  };
}

function soonest({ nowMs, rules, lastSentMs }: Situation): number {
  return Math.max(nowMs + rules.gatherMs, (lastSentMs ?? -Infinity) + rules.spacingMs);
}

function find<T>(items: Iterable<T>, fits: (item: T) => boolean): T | undefined {
  for (const item of items) if (fits(item)) return item;
  return undefined;
}
