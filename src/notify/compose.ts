/** Puts what is to be told in one go into one message. */
import { type EventType, type HoldfastEvent, severities } from '../model/event.ts';
import type { Message, MessageItem } from './message.ts';
import { ends, isTrouble, troubleKey } from './subject.ts';
import { oneLine, titleOf } from './text.ts';

/** An event as it is to be told to one channel. */
export interface Telling {
  readonly event: HoldfastEvent;
  /** How often in a row it happened, or for a recovery: how often it had failed. */
  readonly times: number;
  readonly sinceMs: number;
  /** It ends a trouble the channel was told of. */
  readonly isRecovery: boolean;
}

/** `tellings` in the order they happened, at least one. `serverUrl` without a slash at its end. */
export function compose(
  tellings: readonly Telling[],
  { serverUrl, standing = 0 }: { serverUrl?: string; standing?: number } = {},
): Message {
  const items = tellings.map(itemOf).toSorted(worstFirst);
  return {
    id: tellings[0].event.id,
    atMs: tellings.at(-1)!.event.atMs,
    severity: items[0].event.severity,
    mood: items.some(({ mood }) => mood === 'bad') ? 'bad' : items[0].mood,
    title: items.length === 1 ? titleOf(items[0]) : summaryOf(items),
    items,
    // The server has no pages but its first, which says how to look at a run.
    link: serverUrl === undefined ? undefined : `${serverUrl}/`,
    standing,
  };
}

/**
 * Without what something later says, too: the same trouble again, or its end. What is left says how often it was. `folded`: ids
 * of the events left out.
 */
export function withoutOvertaken(tellings: readonly Telling[]): {
  readonly told: readonly Telling[];
  readonly folded: readonly string[];
} {
  const told: Telling[] = [];
  const folded: string[] = [];
  const keys = new Set<string>();
  const recoveries: HoldfastEvent[] = [];
  for (const one of tellings.toReversed()) {
    const { event } = one;
    const key = isTrouble(event) ? troubleKey(event) : undefined;
    const isOvertaken = key !== undefined && (keys.has(key) || recoveries.some((good) => ends(good, event)));
    if (isOvertaken) folded.push(event.id);
    else told.push(one);
    if (key !== undefined) keys.add(key);
    else if (one.isRecovery) recoveries.push(event);
  }
  return { told: told.reverse(), folded: folded.reverse() };
}

function itemOf({ event, times, sinceMs, isRecovery }: Telling): MessageItem {
  const mood = event.severity !== 'info' ? 'bad' : isRecovery ? 'good' : 'neutral';
  return { event, times, sinceMs, mood };
}

function worstFirst(a: MessageItem, b: MessageItem): number {
  const rank = ({ event, mood }: MessageItem): number =>
    severities.indexOf(event.severity) * 2 + Number(mood === 'good');
  return rank(b) - rank(a) || (a.event.id < b.event.id ? -1 : 1);
}

/** `20 backups failed, 1 drill failed: shop, wiki, mail and 18 more`. */
function summaryOf(items: readonly MessageItem[]): string {
  const counts = new Map<EventType, number>();
  for (const { event } of items) counts.set(event.type, (counts.get(event.type) ?? 0) + 1);
  const parts = [...counts].map(([type, count]) => countText(type, count));
  const said = parts.length > 4 ? [...parts.slice(0, 3), `${parts.length - 3} more kinds of events`] : parts;
  const things = [...new Set(items.map(({ event }) => event.source ?? event.repository))].filter(
    (one) => one !== undefined,
  );
  if (things.length === 0) return said.join(', ');
  const named =
    things.length > 4 ? `${things.slice(0, 3).join(', ')} and ${things.length - 3} more` : things.join(', ');
  return oneLine(`${said.join(', ')}: ${named}`);
}

const plurals: Readonly<Record<string, string>> = {
  copy: 'copies',
  config: 'configurations',
  'sign-in': 'sign-ins',
};

function countText(type: EventType, count: number): string {
  const [subject, outcome] = type.split('.');
  if (type === 'run.warning') return `${count} ${count === 1 ? 'warning' : 'warnings'}`;
  return `${count} ${count === 1 ? subject : (plurals[subject] ?? `${subject}s`)} ${outcome}`;
}
