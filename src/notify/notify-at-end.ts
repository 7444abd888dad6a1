/**
 * For a program that runs and ends: tells once, at its end, what happened and what waits from before. What cannot be delivered
 * within its time stays in the catalogue; whoever tells next, this program again or a server, goes on there.
 */
import { HoldfastError, hasCode, messageOf, throwIfCancelled } from '../base/errors.ts';
import { inTime } from '../base/in-time.ts';
import { followHappenings, newestHappening } from '../catalogue/happenings.ts';
import { countUndelivered, dropOrphans } from './deliveries.ts';
import { beginAtNewest, decidedUpTo, Router } from './delivery/router.ts';
import { giveUpAfterMs, Sender } from './delivery/sender.ts';
import type { NotifierParts } from './notifier.ts';
import { OpenChannels } from './open-channels.ts';
import { quietRulesAtEnd } from './quieten.ts';
import type { ChannelPlan } from './route.ts';
import { underLease } from './under-lease.ts';

/** So long something new is begun: somebody else ends, a channel is tried once more. */
const patienceMs = 45_000;
/** Then it ends, whatever hangs: longer than a channel may take for one message. */
const mostMs = 150_000;
const lookMs = 500;
/** That a channel is broken is told by the others. */
const rounds = 2;

/** To be called before anything happens that is to be told: nobody is told of what was before the first time. */
export const beginTelling = beginAtNewest;

/** Gives how many notifications could not be delivered, and are kept. A fault is logged, not thrown; `cancelled` is. */
export async function notifyAtEnd(parts: NotifierParts, signal: AbortSignal): Promise<number> {
  const { catalogue, clock, log, plans } = parts;
  try {
    await inTime({ clock, timeoutMs: mostMs, signal }, tooLong(), (both) => tellInTurn(parts, both));
  } catch (error) {
    throwIfCancelled(signal);
    if (hasCode(error, 'cancelled')) throw error;
    log.warn({ error: messageOf(error) }, 'not everything could be told; the rest is kept for the next time');
  }
  return await countUndelivered(
    catalogue,
    [...plans()].map(({ name }) => name),
  );
}

/** Whoever holds the lease tells what is new, too: it is waited for until it has, or until it is our turn. */
async function tellInTurn(parts: NotifierParts, signal: AbortSignal): Promise<void> {
  const { catalogue, clock } = parts;
  const untilMs = clock.monotonicMs() + patienceMs;
  const newest = await newestHappening(catalogue);
  while (!(await underLease(parts, signal, (both) => new Telling(parts, both).do(untilMs)))) {
    const isTold = ((await decidedUpTo(catalogue)) ?? '') >= newest;
    if (isTold || clock.monotonicMs() >= untilMs) return;
    await clock.sleep(lookMs, { signal });
  }
  throwIfCancelled(signal);
}

class Telling {
  readonly #parts: NotifierParts;
  readonly #signal: AbortSignal;
  readonly #plans: readonly ChannelPlan[];
  readonly #channels: OpenChannels;
  readonly #router: Router;
  readonly #sender: Sender;

  constructor(parts: NotifierParts, signal: AbortSignal) {
    const { serverUrl = () => undefined } = parts;
    const rules = quietRulesAtEnd;
    this.#parts = parts;
    this.#signal = signal;
    this.#plans = [...parts.plans()];
    this.#channels = new OpenChannels(parts);
    this.#router = new Router({ ...parts, rules });
    this.#sender = new Sender({ ...parts, serverUrl, rules, channels: this.#channels, router: this.#router });
  }

  /** `untilMs` of the monotonic clock. */
  async do(untilMs: number): Promise<void> {
    const { catalogue } = this.#parts;
    using _ = this.#channels;
    let seen = await this.#router.begin();
    const channels = this.#plans.map(({ name }) => name);
    await dropOrphans(catalogue, { channels, beforeMs: (await catalogue.nowMs()) - giveUpAfterMs });
    for (let round = 0; round < rounds; round++) {
      const newest = await newestHappening(catalogue);
      if (round > 0 && newest <= seen) return;
      seen = await this.#route(seen, newest);
      await Promise.all(this.#plans.map((plan) => this.#tell(plan, { untilMs, isFirst: round === 0 })));
    }
  }

  async #route(seen: string, newest: string): Promise<string> {
    const { catalogue, clock } = this.#parts;
    if (newest <= seen) return seen;
    for await (const event of followHappenings(catalogue, { afterId: seen }, { signal: this.#signal, clock })) {
      await this.#router.route(event, this.#plans);
      if (event.id >= newest) return event.id;
    }
    return newest;
  }

  /** Each channel by itself: none waits for another one. */
  async #tell(plan: ChannelPlan, { untilMs, isFirst }: { untilMs: number; isFirst: boolean }): Promise<void> {
    const { catalogue, clock } = this.#parts;
    if (isFirst) await this.#beat(plan);
    for (;;) {
      const nextMs = await this.#sender.sendDue(plan, this.#signal);
      if (nextMs === undefined) return;
      const waitMs = Math.max(0, nextMs - (await catalogue.nowMs()));
      if (clock.monotonicMs() + waitMs > untilMs) return;
      await clock.sleep(waitMs, { signal: this.#signal });
    }
  }

  /** A sign of life each time. */
  async #beat(plan: ChannelPlan): Promise<void> {
    try {
      const channel = await this.#channels.open(plan);
      await channel.heartbeat?.beat(this.#signal);
    } catch (error) {
      throwIfCancelled(this.#signal);
      this.#parts.log.warn({ channel: plan.name, error: messageOf(error) }, 'a sign of life was not told');
    }
  }
}

function tooLong(): HoldfastError {
  return new HoldfastError({
    code: 'channel.failed',
    message: 'a channel does not end',
    remedy: 'Try it out: holdfast notify test',
    retry: 'later',
  });
}
