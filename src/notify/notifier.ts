/**
 * Tells people and programs what happened. It follows the catalogue's events, never a run: nothing waits for it. Of several
 * servers on one catalogue one is at work at a time; what it decided and how far it came stands in the catalogue, so that
 * another one, or the same after a restart, goes on there. What was sent but not yet written down as sent is sent again,
 * with the same id.
 */
import type { Clock } from '../base/clock.ts';
import { hasCode, messageOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { ReadSecret } from '../base/secret-reference.ts';
import { followHappenings } from '../catalogue/happenings.ts';
import type { Catalogue } from '../catalogue/open.ts';
import { listenFor, wake } from '../catalogue/wake.ts';
import type { HttpExchanges } from '../protocols/http/exchange.ts';
import type { AnyChannelKind } from './channel.ts';
import { dropOrphans } from './deliveries.ts';
import { Extras } from './delivery/extras.ts';
import { Router } from './delivery/router.ts';
import { giveUpAfterMs, Sender } from './delivery/sender.ts';
import { OpenChannels } from './open-channels.ts';
import type { ChannelPlan, Routing } from './route.ts';
import { underLease } from './under-lease.ts';

export interface NotifierParts {
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  readonly log: Pick<Log, 'warn' | 'error'>;
  readonly kinds: readonly AnyChannelKind[];
  readonly secret: ReadSecret;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `notifications:` as it is now; looked at again and again. */
  readonly plans: () => Iterable<ChannelPlan>;
  /** Which workspaces an event belongs to: those of its source, policy or repository. */
  readonly workspacesOf: Routing['workspacesOf'];
  /** As people reach the server, without a slash at its end. */
  readonly serverUrl?: () => string | undefined;
  /** Default: connections of its own. */
  readonly exchanges?: (ca?: string) => HttpExchanges;
}

/** Between two looks at who holds the lease, and after a fault of the catalogue. */
const tryAgainMs = 10_000;
/** At the latest: of channels that were declared meanwhile, of runs that another process began. */
const lookMs = 5_000;
const news = 'deliveries';

/** Tells until the signal is aborted; then it resolves. Faults of the catalogue are logged, and it goes on when it is back. */
export async function runNotifier(parts: NotifierParts, signal: AbortSignal): Promise<void> {
  const { clock, log } = parts;
  while (!signal.aborted) {
    try {
      const isOurs = await underLease(parts, signal, (both) => new Work(parts, both).do());
      if (!isOurs) await clock.sleep(tryAgainMs, { signal });
    } catch (error) {
      if (signal.aborted) return;
      log.error({ error: messageOf(error) }, 'notifications pause');
      await clock.sleep(tryAgainMs, { signal }).catch(() => undefined);
    }
  }
}

/** What goes on while the lease is held. */
class Work {
  readonly #parts: NotifierParts;
  readonly #signal: AbortSignal;
  readonly #channels: OpenChannels;
  readonly #router: Router;
  readonly #sender: Sender;

  constructor(parts: NotifierParts, signal: AbortSignal) {
    const { catalogue, clock, log, kinds, serverUrl = () => undefined } = parts;
    this.#parts = parts;
    this.#signal = signal;
    this.#channels = new OpenChannels(parts);
    this.#router = new Router(parts);
    this.#sender = new Sender({
      catalogue,
      clock,
      log,
      kinds,
      serverUrl,
      channels: this.#channels,
      router: this.#router,
    });
  }

  /** Until the signal is aborted, or something rejects. */
  async do(): Promise<void> {
    const fault = new AbortController();
    const signal = AbortSignal.any([this.#signal, fault.signal]);
    const { catalogue } = this.#parts;
    const plans = [...this.#parts.plans()];
    const afterId = await this.#router.begin();
    await dropOrphans(catalogue, {
      channels: plans.map(({ name }) => name),
      beforeMs: (await catalogue.nowMs()) - giveUpAfterMs,
    });
    const stop = (error: unknown): never => {
      fault.abort(error);
      throw error;
    };
    const ends = await Promise.allSettled([
      this.#route(afterId, signal).catch(stop),
      this.#serve(signal, stop).catch(stop),
    ]);
    this.#channels[Symbol.dispose]();
    const rejected = ends.filter((end) => end.status === 'rejected').map(({ reason }) => reason as unknown);
    throw rejected.find((reason) => !hasCode(reason, 'cancelled')) ?? rejected[0];
  }

  async #route(afterId: string, signal: AbortSignal): Promise<void> {
    const { catalogue, clock, plans } = this.#parts;
    for await (const event of followHappenings(catalogue, { afterId }, { signal, clock })) {
      if (await this.#router.route(event, [...plans()])) wake(catalogue, news);
    }
  }

  /** Each channel by itself: none waits for another one. */
  async #serve(signal: AbortSignal, stop: (error: unknown) => never): Promise<void> {
    const serving = new Map<string, Promise<void>>();
    try {
      for (;;) {
        for (const { name } of this.#parts.plans()) {
          if (serving.has(name)) continue;
          const service = this.#serveOne(name, signal).catch(stop);
          serving.set(name, service);
          service.then(
            () => serving.delete(name),
            () => undefined,
          );
        }
        await this.#parts.clock.sleep(lookMs, { signal });
      }
    } finally {
      await Promise.allSettled(serving.values());
    }
  }

  /** Until the channel is not declared any more. */
  async #serveOne(name: string, signal: AbortSignal): Promise<void> {
    const { catalogue, clock, log } = this.#parts;
    using listening = listenFor(catalogue, news, clock);
    const extras = new Extras({ ...this.#parts, name });
    let trouble = '';
    for (;;) {
      const plan = [...this.#parts.plans()].find((one) => one.name === name);
      if (!plan) return;
      const opened = await this.#channels.open(plan).catch((error: unknown) => messageOf(error));
      if (typeof opened === 'string' && opened !== trouble)
        log.warn({ channel: name, error: opened }, 'a channel cannot be opened');
      trouble = typeof opened === 'string' ? opened : '';
      const nextBeatMs = typeof opened === 'string' ? undefined : await extras.tell(plan, opened, signal);
      const nextMs = await this.#sender.sendDue(plan, signal);
      const waitMs = Math.min(nextMs ?? Infinity, nextBeatMs ?? Infinity) - (await catalogue.nowMs());
      await listening.wait(Math.min(Math.max(waitMs, 0), lookMs), signal);
    }
  }
}
