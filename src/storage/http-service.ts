/** Requests to a service that keeps objects: authorised, tried again as long as that can help, refusals told apart. */
import type { Clock } from '../base/clock.ts';
import type { HoldfastError } from '../base/errors.ts';
import type { HttpExchanges, HttpReply, HttpReplyHead } from '../protocols/http/exchange.ts';
import { type Asking, noAnswerOf } from './http-faults.ts';
import { withRetries } from './retry.ts';

export interface ServiceRequest {
  /** Completes «cannot …». */
  readonly doing: string;
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** From the host's root on, escaped. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: readonly Uint8Array[];
  readonly room?: (head: HttpReplyHead) => Uint8Array | undefined;
  /** Besides 2xx: statuses that are answers; any other is thrown. */
  readonly accept?: readonly number[];
  readonly signal?: AbortSignal;
  /** Once it was sent, it is waited for what it did, whatever the signal says. */
  readonly decisive?: boolean;
}

export interface ServiceReply extends HttpReply {
  /** True if an earlier try may have been carried out although no answer came. */
  readonly repeated: boolean;
}

export interface ServiceParts {
  readonly endpoint: { readonly protocol: 'http:' | 'https:'; readonly host: string };
  /** Without secrets. */
  readonly location: string;
  /** The key of its settings, for remedies. */
  readonly settings: string;
  readonly connections: HttpExchanges;
  readonly clock: Clock;
  /** The storage's own end. */
  readonly signal: AbortSignal;
  /** What is added to a request so that it is let in; asked for before every try. */
  readonly authorize: (request: ServiceRequest) => Promise<Authorized>;
  /** The service does not accept what `authorize` gave: true if there will be something else now. */
  readonly renew?: () => boolean;
  readonly refusal: (reply: HttpReply, asking: Asking, nowMs: number) => HoldfastError;
}

export interface Authorized {
  readonly headers?: Readonly<Record<string, string>>;
  /** Appended to the query as it is. */
  readonly query?: string;
}

export class HttpService {
  readonly location: string;
  readonly #parts: ServiceParts;

  constructor(parts: ServiceParts) {
    this.#parts = parts;
    this.location = parts.location;
  }

  /** The reply with a status of 2xx, or one of `accept`. */
  async send(request: ServiceRequest): Promise<ServiceReply> {
    const { clock, signal: own, refusal } = this.#parts;
    const signal = request.signal ? AbortSignal.any([request.signal, own]) : own;
    const attempt = async (count: number): Promise<ServiceReply> => {
      const reply = await this.#letIn({ ...request, signal });
      if (isGood(reply, request)) return { ...reply, repeated: count > 0 };
      throw refusal(reply, this.asking(request.doing), clock.nowMs());
    };
    return await withRetries(attempt, { clock, signal });
  }

  asking(doing: string): Asking {
    return { doing, location: this.location, settings: this.#parts.settings };
  }

  async close(): Promise<void> {
    await this.#parts.connections.close();
  }

  /** Once more at once, if what let us in was over. */
  async #letIn(request: ServiceRequest): Promise<HttpReply> {
    const reply = await this.#once(request);
    if (reply.status !== 401 || !this.#parts.renew?.()) return reply;
    return await this.#once(request);
  }

  async #once(request: ServiceRequest): Promise<HttpReply> {
    const { endpoint, connections, authorize } = this.#parts;
    const { method, path, query = {}, headers, body, room, signal, decisive } = request;
    const given = await authorize(request);
    const pairs = Object.entries(query).map(([name, value]) => `${escapeText(name)}=${escapeText(value)}`);
    if (given.query !== undefined) pairs.push(given.query);
    const whole = pairs.length === 0 ? path : `${path}?${pairs.join('&')}`;
    const all = { ...headers, ...given.headers };
    try {
      const asked = { method, ...endpoint, path: whole, headers: all, body, room, signal, decisive };
      return await connections.exchange(asked);
    } catch (error) {
      throw noAnswerOf(error, this.asking(request.doing));
    }
  }
}

function isGood({ status }: HttpReply, { accept = [] }: ServiceRequest): boolean {
  return (status >= 200 && status < 300) || accept.includes(status);
}

/** All but `A-Za-z0-9-._~`. */
export function escapeText(text: string): string {
  const hex = (char: string): string => `%${char.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(text).replace(/[!'()*]/g, hex);
}

/** The same, with slashes kept. */
export function escapePath(path: string): string {
  return path.split('/').map(escapeText).join('/');
}

/** A folder in a bucket as what stands before names: empty, or `folder/deeper/`. */
export function prefixOf(folder: string): string {
  const parts: string[] = [];
  for (const part of folder.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.length === 0 ? '' : `${parts.join('/')}/`;
}

export function header(reply: HttpReplyHead, name: string): string | undefined {
  const value = reply.headers[name];
  return Array.isArray(value) ? value[0] : value;
}
