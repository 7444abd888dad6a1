/** Gets what is due out through one channel, and remembers how that went. */

import type { Clock } from '../../base/clock.ts';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { inTime } from '../../base/in-time.ts';
import type { Log } from '../../base/log.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { inTransaction } from '../../catalogue/transaction.ts';
import type { AnyChannelKind } from '../channel.ts';
import { compose } from '../compose.ts';
import type { OpenChannels } from '../open-channels.ts';
import { quietRules } from '../quieten.ts';
import type { ChannelPlan } from '../route.ts';
import { type Delivery, dueDeliveries, markFailure, markTold, nextDueMs } from './deliveries.ts';
import type { Router } from './router.ts';
import { setBookmark } from './router.ts';

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

type Outcome = 'told' | 'refused' | 'later';

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
    let refusals = 0;
    for (const batch of this.#batches(plan, due)) {
      const outcome = await this.#sendBatch(plan, batch, signal);
      if (outcome === 'refused') refusals++;
      if (outcome === 'later' || refusals >= mostRefusals) break;
    }
    return await this.#whenNext(name);
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

  async #sendBatch(plan: ChannelPlan, batch: readonly Delivery[], signal: AbortSignal): Promise<Outcome> {
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
    return 'told';
  }

  async #told({ name }: ChannelPlan, ids: readonly string[], folded: readonly string[]): Promise<void> {
    for (const id of ids) this.#refusals.delete(id);
    this.#heldUntil.set(name, 0);
    await inTransaction(this.#parts.catalogue, async ({ db, nowMs, record }) => {
      const sent = ids.filter((id) => !folded.includes(id));
      await markTold(db, { channel: name, ids: sent, state: 'sent', nowMs });
      await markTold(db, { channel: name, ids: folded, state: 'folded', nowMs });
      const mark = await db.deleteFrom('bookmark').where('name', '=', brokenMark(name)).executeTakeFirst();
      if (mark.numDeletedRows === 0n) return;
      const title = `notifications get through the channel ${name} again`;
      await record({ type: 'channel.returned', title, facts: { channel: name } });
    });
  }

  async #failed({ name }: ChannelPlan, batch: readonly Delivery[], error: unknown): Promise<Outcome> {
    const { catalogue, log } = this.#parts;
    const known = error instanceof HoldfastError ? error : undefined;
    const lastError = known ? `${known.message} (${known.remedy})` : messageOf(error);
    const isRefusal = known?.retry === 'never';
    const asked = Number(known?.context.retryAfterMs ?? 0);
    const outcome = await inTransaction(catalogue, async ({ db, nowMs, record }) => {
      const old = batch.filter(({ dueAtMs }) => nowMs - dueAtMs >= giveUpAfterMs);
      const young = batch.filter((one) => !old.includes(one));
      const attempts = Math.max(...batch.map((one) => one.attempts));
      const nextAtMs = nowMs + Math.max(waitsMs[Math.min(attempts, waitsMs.length - 1)], asked);
      await markFailure(db, { channel: name, ids: idsOf(old), nextAtMs, lastError, isFinal: true });
      await markFailure(db, { channel: name, ids: idsOf(young), nextAtMs, lastError, isFinal: false });
      const oldest = Math.min(...batch.map(({ dueAtMs }) => dueAtMs));
      const isBroken = isRefusal || nowMs - oldest >= brokenAfterMs;
      const isNews = isBroken && !(await isKnownBroken(db, name));
      if (isNews) {
        await setBookmark(db, brokenMark(name), String(nowMs));
        await record({
          type: 'channel.failed',
          title: `notifications do not get through the channel ${name}`,
          message: known?.message ?? messageOf(error),
          remedy: known?.remedy ?? 'Look at the log of the server.',
          errorCode: known?.code ?? 'internal',
          facts: { channel: name },
        });
      }
      return { old, isNews, nextAtMs };
    });
    // What others may have to do with is no reason to leave the channel alone.
    if (!(isRefusal && batch.every((one) => this.#isSuspect(one)))) this.#heldUntil.set(name, outcome.nextAtMs);
    for (const id of idsOf(batch)) {
      if (isRefusal) this.#refusals.set(id, (this.#refusals.get(id) ?? 0) + 1);
    }
    for (const id of idsOf(outcome.old)) {
      this.#refusals.delete(id);
      log.error({ channel: name, event: id, error: lastError }, 'a notification was given up');
    }
    if (outcome.isNews) log.error({ channel: name, error: lastError }, 'a channel is broken');
    else log.warn({ channel: name, error: lastError, nextAtMs: outcome.nextAtMs }, 'a notification is tried again');
    return isRefusal ? 'refused' : 'later';
  }
}

const idsOf = (batch: readonly Delivery[]): string[] => batch.map(({ telling }) => telling.event.id);

const brokenMark = (channel: string): string => `broken channel ${channel}`;

async function isKnownBroken(db: Catalogue['db'], channel: string): Promise<boolean> {
  const row = await db.selectFrom('bookmark').select('name').where('name', '=', brokenMark(channel)).executeTakeFirst();
  return row !== undefined;
}

function hangs(title: string): HoldfastError {
  return new HoldfastError({
    code: 'channel.failed',
    message: `${title} did not end within ${timeoutMs / second} s`,
    remedy: 'Look whether the server it goes through answers.',
    retry: 'later',
  });
}
