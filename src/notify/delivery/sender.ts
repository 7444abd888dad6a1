/** Gets what is due out through one channel, and remembers how that went. */

import type { Clock } from '../../base/clock.ts';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { inTime } from '../../base/in-time.ts';
import type { Log } from '../../base/log.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { inTransaction } from '../../catalogue/transaction.ts';
import type { AnyChannelKind } from '../channel.ts';
import { compose } from '../compose.ts';
import { type Delivery, dueDeliveries, markFailure, markTold, nextDueMs } from '../deliveries.ts';
import type { OpenChannels } from '../open-channels.ts';
import { quietRules } from '../quieten.ts';
import type { ChannelPlan } from '../route.ts';
import { sayBroken, sayReturned } from './health.ts';
import type { Router } from './router.ts';

export interface SenderParts {
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  readonly log: Log;
  readonly kinds: readonly AnyChannelKind[];
  readonly channels: OpenChannels;
  readonly router: Router;
  readonly serverUrl: () => string | undefined;
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
/** What was refused for good so often with others is tried alone: one of them may be what the other side cannot take. */
const refusalsTogether = 3;

/** Requests of one round that may be refused before the others wait, too. */
const mostRefusals = 3;

interface Failure {
  readonly error: unknown;
  readonly isRefusal: boolean;
  /** The channel may be broken: it refuses for good, or fails for a while. */
  readonly blames: boolean;
}

export class Sender {
  readonly #parts: SenderParts;
  /** By event: how often it was refused. */
  readonly #refusals = new Map<string, number>();
  /** By channel: until when it is left alone. */
  readonly #heldUntil = new Map<string, number>();

  constructor(parts: SenderParts) {
    this.#parts = parts;
  }

  /** When it is to be called next; `undefined` while nothing waits. Rejects only with `cancelled`, or what the catalogue rejects with. */
  async sendDue(plan: ChannelPlan, signal: AbortSignal): Promise<number | undefined> {
    const { catalogue } = this.#parts;
    const { name } = plan;
    if (!this.#heldUntil.has(name))
      this.#heldUntil.set(name, (await nextDueMs(catalogue, name, { retried: true })) ?? 0);
    const nowMs = await catalogue.nowMs();
    const before = await this.#whenNext(name);
    if (before === undefined || before > nowMs) return before;
    const { gatherMs } = quietRules[this.#audienceOf(plan)];
    const due = await dueDeliveries(catalogue, { channel: name, untilMs: nowMs + gatherMs, limit: mostAtOnce });
    await this.#sendRound(plan, this.#batches(plan, due), signal);
    return await this.#whenNext(name);
  }

  /** Only where nothing got through is the channel to blame. */
  async #sendRound(plan: ChannelPlan, batches: readonly Delivery[][], signal: AbortSignal): Promise<void> {
    const failures: Failure[] = [];
    let isTold = false;
    for (const batch of batches) {
      const failure = await this.#sendBatch(plan, batch, signal);
      if (failure) failures.push(failure);
      else isTold = true;
      if (failure?.isRefusal === false || failures.length >= mostRefusals) break;
    }
    const worst = isTold ? undefined : failures.find(({ blames }) => blames);
    if (!worst) return;
    const { catalogue, log } = this.#parts;
    if (await sayBroken(catalogue, plan.name, worst.error)) {
      log.error({ channel: plan.name, error: messageOf(worst.error) }, 'a channel is broken');
    }
  }

  async #whenNext(name: string): Promise<number | undefined> {
    const next = await nextDueMs(this.#parts.catalogue, name, { retried: false });
    return next === undefined ? undefined : Math.max(next, this.#heldUntil.get(name) ?? 0);
  }

  #audienceOf(plan: ChannelPlan): 'people' | 'machines' {
    return this.#parts.kinds.find((kind) => kind.name === plan.kind)?.audience ?? 'people';
  }

  #batches(plan: ChannelPlan, due: readonly Delivery[]): Delivery[][] {
    const isAlone = (one: Delivery): boolean => this.#audienceOf(plan) === 'machines' || this.#isSuspect(one);
    const together = due.filter((one) => !isAlone(one));
    const alone = due.filter(isAlone).map((one) => [one]);
    return together.length > 0 ? [together, ...alone] : alone;
  }

  #isSuspect({ telling }: Delivery): boolean {
    return (this.#refusals.get(telling.event.id) ?? 0) >= refusalsTogether;
  }

  async #sendBatch(plan: ChannelPlan, batch: readonly Delivery[], signal: AbortSignal): Promise<Failure | undefined> {
    const { channels, router, serverUrl, clock } = this.#parts;
    const tellings = batch.map(({ telling }) => telling);
    const events = tellings.map(({ event }) => event);
    const { message, folded } = compose(tellings, {
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
    await this.#told(plan, idsOf(batch), folded);
    return undefined;
  }

  async #told({ name }: ChannelPlan, ids: readonly string[], folded: readonly string[]): Promise<void> {
    for (const id of ids) this.#refusals.delete(id);
    this.#heldUntil.set(name, 0);
    await inTransaction(this.#parts.catalogue, async (transaction) => {
      const { db, nowMs } = transaction;
      const sent = ids.filter((id) => !folded.includes(id));
      await markTold(db, { channel: name, ids: sent, state: 'sent', nowMs });
      await markTold(db, { channel: name, ids: folded, state: 'folded', nowMs });
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
    const old = idsOf(batch.filter(({ dueAtMs }) => nowMs - dueAtMs >= giveUpAfterMs));
    const young = idsOf(batch).filter((id) => !old.includes(id));
    await inTransaction(catalogue, async ({ db }) => {
      await markFailure(db, { channel: name, ids: old, nextAtMs, lastError, isFinal: true });
      await markFailure(db, { channel: name, ids: young, nextAtMs, lastError, isFinal: false });
    });
    // What one event has to do with is no reason to leave the channel alone.
    if (!isSuspect) this.#heldUntil.set(name, nextAtMs);
    for (const id of young) if (isRefusal) this.#refusals.set(id, (this.#refusals.get(id) ?? 0) + 1);
    for (const id of old) {
      this.#refusals.delete(id);
      log.error({ channel: name, event: id, error: lastError }, 'a notification was given up');
    }
    if (young.length > 0) log.warn({ channel: name, error: lastError, nextAtMs }, 'a notification is tried again');
    const oldest = Math.min(...batch.map(({ dueAtMs }) => dueAtMs));
    return { error, isRefusal, blames: !isSuspect && (isRefusal || nowMs - oldest >= brokenAfterMs) };
  }
}

const idsOf = (batch: readonly Delivery[]): string[] => batch.map(({ telling }) => telling.event.id);

function hangs(title: string): HoldfastError {
  return new HoldfastError({
    code: 'channel.failed',
    message: `${title} did not end within ${timeoutMs / second} s`,
    remedy: 'Look whether the server it goes through answers.',
    retry: 'later',
  });
}
