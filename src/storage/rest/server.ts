/** Requests to one REST server, with credentials, tried again while it does not answer. */
import type { Clock } from '../../base/clock.ts';
import type { Secret } from '../../base/secrets.ts';
import type { HttpExchanges, HttpReply, HttpReplyHead } from '../../protocols/http/exchange.ts';
import { noAnswerOf } from '../http-faults.ts';
import type { HttpPlace } from '../http-place.ts';
import { withRetries } from '../retry.ts';
import { refusal } from './rest-errors.ts';

export interface RestRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'DELETE';
  /** Of the whole server, escaped. */
  readonly path: string;
  /** Completes «cannot …». */
  readonly doing: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: readonly Uint8Array[];
  readonly room?: (head: HttpReplyHead) => Uint8Array | undefined;
  /** Statuses that are answers; any other is thrown. */
  readonly takes: readonly number[];
  /** Ends the request; of a POST only the waiting between two tries, so that a put that says «cancelled» stored nothing. */
  readonly signal?: AbortSignal;
  /** Called before a further try: what was asked for may have happened already; true ends it. */
  readonly happened?: () => Promise<boolean>;
}

export interface RestServerParts {
  readonly place: HttpPlace;
  readonly connections: HttpExchanges;
  readonly user?: string;
  readonly password?: Secret;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export class RestServer {
  readonly place: HttpPlace;
  readonly #connections: HttpExchanges;
  readonly #authorization: Readonly<Record<string, string>>;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;

  constructor({ place, connections, user, password, clock, signal }: RestServerParts) {
    this.place = place;
    this.#connections = connections;
    this.#clock = clock;
    this.#signal = signal;
    const pair = Buffer.from(`${user ?? ''}:${password?.reveal() ?? ''}`).toString('base64');
    this.#authorization = user === undefined ? {} : { authorization: `Basic ${pair}` };
  }

  /** `undefined` only if `happened` said so. */
  async ask(request: RestRequest): Promise<HttpReply | undefined> {
    const signal = request.signal ? AbortSignal.any([request.signal, this.#signal]) : this.#signal;
    const attempt = async (count: number): Promise<HttpReply | undefined> => {
      if (count > 0 && (await request.happened?.())) return undefined;
      return await this.#once(request, request.method === 'POST' ? this.#signal : signal);
    };
    return await withRetries(attempt, { clock: this.#clock, signal });
  }

  async close(): Promise<void> {
    await this.#connections.close();
  }

  async #once(
    { method, path, doing, headers, body, room, takes }: RestRequest,
    signal: AbortSignal,
  ): Promise<HttpReply> {
    const { protocol, host, shown } = this.place;
    let reply: HttpReply;
    try {
      const all = { ...this.#authorization, ...headers };
      reply = await this.#connections.exchange({ method, protocol, host, path, headers: all, body, room, signal });
    } catch (error) {
      throw noAnswerOf(error, { doing, location: shown, settings: 'rest' });
    }
    if (takes.includes(reply.status)) return reply;
    throw refusal(reply, doing, shown, this.#clock.nowMs());
  }
}
