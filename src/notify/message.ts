/** What is told in one go: one event, or several that happened at about the same time. Kinds of channels put it into their own form. */
import type { HoldfastEvent, Severity } from '../model/event.ts';

export interface Message {
  /** The same at every attempt, so that a receiver may know what it has already: that of its first event. */
  readonly id: string;
  readonly atMs: number;
  /** The highest of its items. */
  readonly severity: Severity;
  /** bad: something is wrong · good: what was wrong is right again · neutral: something happened. */
  readonly mood: 'bad' | 'good' | 'neutral';
  /** One line: what, and which source. */
  readonly title: string;
  /** At least one; the worst first. */
  readonly items: readonly MessageItem[];
  /** The server's first page, where its address is known. */
  readonly link?: string;
  /** Troubles of this channel's scope that are not over, beyond those told here; for those who show one state for many things. */
  readonly standing: number;
}

export interface MessageItem {
  readonly event: HoldfastEvent;
  /** How often it failed in a row: of a recovery, before it. 1 for what happened once. */
  readonly times: number;
  /** When the first of them was. */
  readonly sinceMs: number;
  readonly mood: Message['mood'];
}
