/** Requests to one WebDAV server, signed in as it wants it, tried again while it does not answer. */
import type { Clock } from '../../base/clock.ts';
import type { HttpExchanges, HttpReply, HttpReplyHead } from '../../protocols/http/exchange.ts';
import { noAnswerOf } from '../http-faults.ts';
import type { HttpPlace } from '../http-place.ts';
import { defaultRetryPolicy, type RetryPolicy, withRetries } from '../retry.ts';
import type { Authorizer } from './authorizer.ts';
import { askingOf, refusal } from './webdav-errors.ts';

export interface WebdavRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'DELETE' | 'MKCOL' | 'MOVE' | 'PROPFIND';
  /** Below the folder, or from a slash on of the whole server; escaped. */
  readonly name: string;
  /** Completes «cannot …». */
  readonly doing: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: readonly Uint8Array[];
  readonly room?: (head: HttpReplyHead) => Uint8Array | undefined;
  /** Statuses that are answers; any other is thrown. */
  readonly takes: readonly number[];
  /** Throws if the answer cannot be used; if its `retry` says so, the server is asked again. */
  readonly check?: (reply: HttpReply) => void;
  readonly signal?: AbortSignal;
  /** Once it was sent, it is waited for what it did, whatever the signal says. */
  readonly decisive?: boolean;
  /** Sent even after the storage was told to end: it tidies up. Not tried for long. */
  readonly regardless?: boolean;
}

const tidyPolicy: RetryPolicy = { ...defaultRetryPolicy, attempts: 4, withinMs: 10_000 };

export interface WebdavReply extends HttpReply {
  /** True if an earlier try may have been carried out although no answer came. */
  readonly repeated: boolean;
}

export interface WebdavServerParts {
  readonly place: HttpPlace;
  readonly connections: HttpExchanges;
  readonly authorizer: Authorizer;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export class WebdavServer {
  readonly place: HttpPlace;
  readonly #connections: HttpExchanges;
  readonly #authorizer: Authorizer;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;

  constructor({ place, connections, authorizer, clock, signal }: WebdavServerParts) {
    this.place = place;
    this.#connections = connections;
    this.#authorizer = authorizer;
    this.#clock = clock;
    this.#signal = signal;
  }

  /** The whole address of something below the folder, as `Destination` wants it. */
  addressOf(name: string): string {
    const { protocol, host } = this.place;
    return `${protocol}//${host}${this.#pathOf(name)}`;
  }

  async ask(request: WebdavRequest): Promise<WebdavReply> {
    const signal = this.#signalOf(request);
    const attempt = async (count: number): Promise<WebdavReply> => {
      const reply = await this.#signedIn(request, signal);
      request.check?.(reply);
      return { ...reply, repeated: count > 0 };
    };
    const policy = request.regardless ? tidyPolicy : defaultRetryPolicy;
    return await withRetries(attempt, { clock: this.#clock, signal, policy });
  }

  #signalOf({ signal, regardless }: WebdavRequest): AbortSignal | undefined {
    if (regardless) return undefined;
    return signal ? AbortSignal.any([signal, this.#signal]) : this.#signal;
  }

  async close(): Promise<void> {
    await this.#connections.close();
  }

  /** Twice at once if the first time shows how to sign in. */
  async #signedIn(request: WebdavRequest, signal: AbortSignal | undefined): Promise<HttpReply> {
    let { reply, sent } = await this.#once(request, signal);
    if (reply.status === 401 && this.#authorizer.learn(reply.headers['www-authenticate'], sent)) {
      ({ reply, sent } = await this.#once(request, signal));
      // A nonce that ended just then.
      if (reply.status === 401 && this.#authorizer.learn(reply.headers['www-authenticate'], sent)) {
        ({ reply } = await this.#once(request, signal));
      }
    }
    if (request.takes.includes(reply.status)) return reply;
    throw refusal(reply, askingOf(request.doing, this.place.shown), this.#clock.nowMs());
  }

  async #once(request: WebdavRequest, signal: AbortSignal | undefined) {
    const { method, name, doing, headers, body, room, decisive } = request;
    const { protocol, host, shown } = this.place;
    const path = this.#pathOf(name);
    const sent = this.#authorizer.header(method, path);
    const all = sent === undefined ? { ...headers } : { ...headers, authorization: sent };
    try {
      const asked = { method, protocol, host, path, headers: all, body, room, signal, decisive };
      return { reply: await this.#connections.exchange(asked), sent };
    } catch (error) {
      throw noAnswerOf(error, askingOf(doing, shown));
    }
  }

  /** Names have no characters that must be escaped but `~`, which need not be. */
  #pathOf(name: string): string {
    return name.startsWith('/') ? name : this.place.path + name;
  }
}
