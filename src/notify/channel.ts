/**
 * How somebody is told. A kind of channel is a folder of its own: settings, and how a message gets out. What is told, to whom
 * and how often is decided before (`route.ts`, `quieten.ts`), when it is tried again after (`notifier.ts`).
 */
import type { z } from 'zod';
import type { Clock } from '../base/clock.ts';
import type { ReadSecret } from '../base/secret-reference.ts';
import type { HttpExchanges } from '../protocols/http/exchange.ts';
import type { Message } from './message.ts';

/** A kind of channel, chosen by its key in an entry of `notifications:`. */
export interface ChannelKind<Settings = unknown> {
  /** The key that chooses it: `ntfy`, `email`. */
  readonly name: string;
  readonly title: string;
  /** All of the entry but what every channel has (`on`, `severity`, `sources`, …), the choosing key included; every field has `.describe()`. */
  readonly settings: z.ZodType<Settings>;
  /**
   * people: what happens at about the same time is one message, and a failure that repeats is told once in a while ·
   * machines: every event by itself, at once.
   */
  readonly audience: 'people' | 'machines';
  /** What it is told where the entry has no `on`. Absent: errors. */
  readonly on?: (settings: Settings) => readonly string[];
  /** Reads its secrets; connects to nothing yet. `secret.unavailable`, `config.invalid`. */
  open(settings: Settings, uses: ChannelUses): Promise<Channel>;
}

export interface ChannelUses {
  /** The entry's name in `notifications:`. */
  readonly name: string;
  readonly clock: Clock;
  readonly secret: ReadSecret;
  /** HTTP, with PEM certificates that are trusted besides the usual ones. They are closed by who opened the channel. */
  readonly exchanges: (ca?: string) => HttpExchanges;
}

/** One channel, ready to send. */
export interface Channel {
  /** Where messages go, for people, without secrets: `ntfy.example, topic backups`. */
  readonly title: string;
  /**
   * Resolves when the other side took it. `channel.failed`: `retry` says whether it may go another time, and
   * `context.retryAfterMs` how long the other side asked to be left alone. Ends by itself within a minute.
   */
  send(message: Message, signal: AbortSignal): Promise<void>;
  /** A run began; only for channels that want to know. Is not tried again. */
  begun?(run: BegunRun, signal: AbortSignal): Promise<void>;
  /** Says that Holdfast is alive, every so often. Is not tried again. */
  readonly heartbeat?: { readonly everyMs: number; beat(signal: AbortSignal): Promise<void> };
}

export interface BegunRun {
  readonly id: string;
  readonly kind: string;
  readonly source?: string;
  readonly policy?: string;
  readonly repository?: string;
}

/** Any kind, for registries: settings are opaque outside the kind. */
// biome-ignore lint/suspicious/noExplicitAny: a registry holds kinds of different settings; each parses its own with its schema
export type AnyChannelKind = ChannelKind<any>;
