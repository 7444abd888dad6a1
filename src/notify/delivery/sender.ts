/** Gets what is due out through one channel, and remembers how that went. */

import type { Clock } from '../../base/clock.ts';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { inTime } from '../../base/in-time.ts';
import type { Log } from '../../base/log.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { inTransaction } from '../../catalogue/transaction.ts';
import type { AnyChannelKind } from '../channel.ts';
import { compose, withoutOvertaken } from '../compose.ts';
import {
  type Delivery,
  dueDeliveries,
  lastSentMs,
  markFailure,
  markFolded,
  markSent,
  nextDueMs,
} from '../deliveries.ts';
import type { OpenChannels } from '../open-channels.ts';
import { type QuietRules, quietRules } from '../quieten.ts';
import type { ChannelPlan } from '../route.ts';
import { sayBroken, sayReturned } from './health.ts';
import type { Router } from './router.ts';

export interface SenderParts {
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  readonly log: Pick<Log, 'warn' | 'error'>;
  readonly kinds: readonly AnyChannelKind[];
  readonly channels: OpenChannels;
  readonly router: Router;
  readonly serverUrl: () => string | undefined;
  /** Default: those of a server. */
  readonly rules?: typeof quietRules;
}

const second = 1000;
const minute = 60 * second;
/** After the first failure, the second, …; then always the last. */
const waitsMs = [30 * second, minute, 2 * minute, 5 * minute, 10 * minute, 20 * minute, 40 * minute, 60 * minute];
/** What cannot be delivered for so long is given up. */
export const giveUpAfterMs = 24 * 60 * minute;
/** A channel that fails for so long is said to be broken. */
export const brokenAfterMs = 15 * minute;
/** Kinds end by themselves before. */
const timeoutMs = 90 * second;
const mostAtOnce = 1000;
/** Requests of one round that may be refused before the others wait, too. */
const mostRefusals = 3;

interface Failure {
  readonly error: unknown;
  readonly isRefusal: boolean;
  /** The channel may be broken: it refuses for good, or fails for a while. */
  readonly blames: boolean;
  readonly nextAtMs: number;
}

/** A machine that was off for a day, and whose network is up later than itself, gives nothing up in its first quarter of an hour. */
const fewestTries = 6;

export class Sender {
  readonly #parts: SenderParts;
  /** Events that were refused for good, by channel: one of them may be what the other side cannot take. */
  readonly #suspects = new Set<string>();
  /** By channel: until when it is left alone. */
  readonly #heldUntil = new Map<string, number>();

  constructor(parts: SenderParts) {
    this.#parts = parts;
  }

  /** When it is to be called next; `undefined` while nothing waits. Rejects only with `cancelled`, or what the catalogue rejects with. */
  async sendDue(plan: ChannelPlan, signal: AbortSignal): Promise<number | undefined> {
    const { catalogue } = this.#parts;
    const { name } = plan;
    const nowMs = await catalogue.nowMs();
    const before = await this.#whenNext(plan);
    if (before === undefined || before > nowMs) return before;
    const { gatherMs } = this.#rulesOf(plan);
    const due = await dueDeliveries(catalogue, { channel: name, untilMs: nowMs + gatherMs, limit: mostAtOnce });
    await this.#sendRound(plan, this.#batches(plan, await this.#folded(plan, due)), signal);
    return await this.#whenNext(plan);
  }

  /** Without what others of them say, too, whatever comes of those. */
  async #folded(plan: ChannelPlan, due: readonly Delivery[]): Promise<readonly Delivery[]> {
    if (this.#audienceOf(plan) === 'machines') return due;
    const { folded } = withoutOvertaken(due.map(({ telling }) => telling));
    await markFolded(this.#parts.catalogue.db, { channel: plan.name, ids: folded });
    const gone = new Set(folded);
    return due.filter(({ telling }) => !gone.has(telling.event.id));
  }

  /** What is refused for good is tried in halves. Only where nothing got through is the channel to blame. */
  async #sendRound(plan: ChannelPlan, batches: readonly Delivery[][], signal: AbortSignal): Promise<void> {
    const { catalogue, log } = this.#parts;
    const failures: Failure[] = [];
    const queue = [...batches];
    let isTold = false;
    for (let batch = queue.shift(); batch && failures.length < mostRefusals; batch = queue.shift()) {
      const failure = await this.#sendBatch(plan, batch, signal);
      isTold ||= failure === undefined;
      if (failure) failures.push(failure);
      if (failure?.isRefusal === false) break;
      if (failure && batch.length > 1) queue.unshift(...halves(batch));
    }
    if (isTold || failures.length === 0) return;
    if (failures.length >= mostRefusals) this.#heldUntil.set(plan.name, failures[0].nextAtMs);
    const worst = failures.find(({ blames }) => blames);
    if (worst && (await sayBroken(catalogue, plan.name, worst.error))) {
      log.error({ channel: plan.name, error: messageOf(worst.error) }, 'a channel is broken');
    }
  }

  async #whenNext(plan: ChannelPlan): Promise<number | undefined> {
    const { catalogue } = this.#parts;
    const { name } = plan;
    const next = await nextDueMs(catalogue, name, { retried: false });
    if (next === undefined) return undefined;
    const { spacingMs } = this.#rulesOf(plan);
    const held = this.#heldUntil.get(name) ?? (await nextDueMs(catalogue, name, { retried: true })) ?? 0;
    const spaced = spacingMs === 0 ? 0 : ((await lastSentMs(catalogue, name)) ?? -spacingMs) + spacingMs;
    return Math.max(next, held, spaced);
  }

  #rulesOf(plan: ChannelPlan): QuietRules {
    return (this.#parts.rules ?? quietRules)[this.#audienceOf(plan)];
  }

  #audienceOf(plan: ChannelPlan): 'people' | 'machines' {
    return this.#parts.kinds.find((kind) => kind.name === plan.kind)?.audience ?? 'people';
  }

  #batches(plan: ChannelPlan, due: readonly Delivery[]): Delivery[][] {
    if (this.#audienceOf(plan) === 'machines') return due.map((one) => [one]);
    const suspects = due.filter((one) => this.#isSuspect(one));
    const others = due.filter((one) => !this.#isSuspect(one));
    return [others, ...halves(suspects)].filter((batch) => batch.length > 0);
  }

  #isSuspect({ channel, telling }: Delivery): boolean {
    return this.#suspects.has(suspectKey(channel, telling.event.id));
  }

  async #sendBatch(plan: ChannelPlan, batch: readonly Delivery[], signal: AbortSignal): Promise<Failure | undefined> {
    const { channels, router, serverUrl, clock } = this.#parts;
    const tellings = batch.map(({ telling }) => telling);
    const events = tellings.map(({ event }) => event);
    const message = compose(tellings, {
      serverUrl: serverUrl(),
      standing: router.standingBeside(plan.name, events),
    });
    try {
      const channel = await channels.open(plan);
      await inTime({ clock, timeoutMs, signal }, hangs(channel.title), (both) => channel.send(message, both));
    } catch (error) {
      if (signal.aborted) throw error;
      channels.forget(plan.name);
      return await this.#failed(plan, batch, error);
    }
    await this.#told(plan, idsOf(batch));
    return undefined;
  }

  async #told({ name }: ChannelPlan, ids: readonly string[]): Promise<void> {
    for (const id of ids) this.#suspects.delete(suspectKey(name, id));
    this.#heldUntil.set(name, 0);
    await inTransaction(this.#parts.catalogue, async (transaction) => {
      await markSent(transaction.db, { channel: name, ids, nowMs: transaction.nowMs });
      await sayReturned(transaction, name);
    });
  }

  async #failed({ name }: ChannelPlan, batch: readonly Delivery[], error: unknown): Promise<Failure> {
    const { catalogue, log } = this.#parts;
    const known = error instanceof HoldfastError ? error : undefined;
    const lastError = known ? `${known.message} (${known.remedy})` : messageOf(error);
    const isRefusal = known?.retry === 'never';
    const isSuspect = isRefusal && batch.every((one) => this.#isSuspect(one));
    const asked = Number(known?.context.retryAfterMs ?? 0);
    const nowMs = await catalogue.nowMs();
    const attempts = Math.max(...batch.map((one) => one.attempts));
    const nextAtMs = nowMs + Math.max(waitsMs[Math.min(attempts, waitsMs.length - 1)], asked);
    const old = idsOf(batch.filter((one) => nowMs - one.dueAtMs >= giveUpAfterMs && one.attempts + 1 >= fewestTries));
    const young = idsOf(batch).filter((id) => !old.includes(id));
    await inTransaction(catalogue, async ({ db }) => {
      await markFailure(db, { channel: name, ids: old, nextAtMs, lastError, isFinal: true });
      await markFailure(db, { channel: name, ids: young, nextAtMs, lastError, isFinal: false });
    });
    // What one event has to do with is no reason to leave the channel alone.
    if (!isSuspect) this.#heldUntil.set(name, nextAtMs);
    for (const id of young) if (isRefusal) this.#suspects.add(suspectKey(name, id));
    for (const id of old) {
      this.#suspects.delete(suspectKey(name, id));
      log.error({ channel: name, event: id, error: lastError }, 'a notification was given up');
    }
    if (young.length > 0) log.warn({ channel: name, error: lastError, nextAtMs }, 'a notification is tried again');
    const oldest = Math.min(...batch.map(({ dueAtMs }) => dueAtMs));
    return { error, isRefusal, nextAtMs, blames: !isSuspect && (isRefusal || nowMs - oldest >= brokenAfterMs) };
  }
}

const idsOf = (batch: readonly Delivery[]): string[] => batch.map(({ telling }) => telling.event.id);

const suspectKey = (channel: string, event: string): string => `${channel} ${event}`;

function halves(batch: readonly Delivery[]): Delivery[][] {
  const middle = Math.ceil(batch.length / 2);
  return [batch.slice(0, middle), batch.slice(middle)].filter((half) => half.length > 0);
}

function hangs(title: string): HoldfastError {
  return new HoldfastError({
    code: 'channel.failed',
    message: `${title} did not end within ${timeoutMs / second} s`,
    remedy: 'Look whether the server it goes through answers.',
    retry: 'later',
  });
}
