/** Channels as they are declared now, opened when they are first needed and kept until their declaration changes. */
import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import type { ReadSecret } from '../base/secret-reference.ts';
import { HttpConnections, type HttpExchanges } from '../protocols/http/exchange.ts';
import type { AnyChannelKind, Channel } from './channel.ts';
import type { ChannelPlan } from './route.ts';

export interface OpenChannelsParts {
  readonly kinds: readonly AnyChannelKind[];
  readonly clock: Clock;
  readonly secret: ReadSecret;
  /** `HTTPS_PROXY` and its like are heeded. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Default: connections of its own. */
  readonly exchanges?: (ca?: string) => HttpExchanges;
}

const silenceMs = 20_000;
const maxConnections = 4;

export class OpenChannels implements Disposable {
  readonly #parts: OpenChannelsParts;
  readonly #opened = new Map<string, { plan: ChannelPlan; channel: Promise<Channel> }>();
  readonly #connections = new Map<string, HttpConnections>();

  constructor(parts: OpenChannelsParts) {
    this.#parts = parts;
  }

  /** `secret.unavailable`, `config.invalid`: then it is opened anew the next time. */
  async open(plan: ChannelPlan): Promise<Channel> {
    const known = this.#opened.get(plan.name);
    if (known && known.plan.kind === plan.kind && known.plan.settings === plan.settings) return await known.channel;
    const channel = this.#open(plan);
    this.#opened.set(plan.name, { plan, channel });
    try {
      return await channel;
    } catch (error) {
      if (this.#opened.get(plan.name)?.channel === channel) this.#opened.delete(plan.name);
      throw error;
    }
  }

  /** Opens it anew the next time: a secret may have changed. */
  forget(name: string): void {
    this.#opened.delete(name);
  }

  [Symbol.dispose](): void {
    for (const one of this.#connections.values()) one.close();
  }

  async #open({ name, kind: kindName, settings }: ChannelPlan): Promise<Channel> {
    const { kinds, clock, secret, exchanges = (ca?: string) => this.#connect(ca) } = this.#parts;
    const kind = kinds.find((one) => one.name === kindName);
    if (!kind) {
      const message = `the channel ${name} is of the kind «${kindName}», which this version does not know`;
      throw new HoldfastError({ code: 'config.invalid', message, remedy: 'Run the version that declared it.' });
    }
    return await kind.open(settings, { name, clock, secret, exchanges });
  }

  #connect(ca = ''): HttpConnections {
    const known = this.#connections.get(ca);
    if (known) return known;
    const trusted = ca === '' ? {} : { ca };
    const made = new HttpConnections({ maxConnections, silenceMs, env: this.#parts.env, ...trusted });
    this.#connections.set(ca, made);
    return made;
  }
}
