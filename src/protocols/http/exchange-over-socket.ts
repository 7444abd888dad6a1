/**
 * HTTP/2 exchanges over a socket that is there already, such as the input and output of a program. Any number of exchanges
 * share it; it is made when it is first needed, and again when it has ended. Otherwise as `exchange.ts`. It must be a socket of
 * the system's: over any other stream node's http2 fails an assertion when it is closed in the middle of a write (node 24).
 */
import { AsyncResource } from 'node:async_hooks';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2';
import type { Socket } from 'node:net';
import { Semaphore } from '../../base/concurrency.ts';
import { throwIfCancelled } from '../../base/errors.ts';
import { atItsPace } from '../../base/pace.ts';
import {
  bodyOf,
  broken,
  exchangeError,
  type HttpExchanges,
  type HttpReply,
  type HttpRequest,
  pieces,
  receive,
} from './exchange.ts';

export interface SocketExchangeOptions {
  /** The way to the other side; an error of it is that of the exchange that wanted it. */
  readonly dial: () => Promise<Socket>;
  /** Exchanges at once; further ones wait. */
  readonly most: number;
  /** How long an exchange may be silent. */
  readonly silenceMs: number;
}

/** What may come before it is acknowledged, per exchange and in all: the default of 64 KiB would make every read wait. */
const windowBytes = 4 * 1024 * 1024;
const sessionWindowBytes = 16 * 1024 * 1024;

export class SocketExchanges implements HttpExchanges {
  readonly #options: SocketExchangeOptions;
  readonly #permits: Semaphore;
  #session: Promise<ClientHttp2Session> | undefined;

  constructor(options: SocketExchangeOptions) {
    this.#options = options;
    this.#permits = new Semaphore(options.most);
  }

  /** As `HttpConnections.exchange`; protocol and host only stand in the request. */
  async exchange(asked: HttpRequest): Promise<HttpReply> {
    await this.#permits.acquire();
    try {
      throwIfCancelled(asked.signal);
      const session = await this.#open();
      return await this.#once(session, asked);
    } finally {
      this.#permits.release();
    }
  }

  close(): void {
    const session = this.#session;
    this.#session = undefined;
    // A stream that could not be made was heard of by who wanted it.
    session?.then(
      (opened) => opened.destroy(),
      () => {},
    );
  }

  /** Of several that find it ended, the first makes the next one. */
  #open(): Promise<ClientHttp2Session> {
    const present = this.#session;
    const opening = (async () => {
      const known = await present?.catch(() => undefined);
      return known && !known.closed && !known.destroyed ? known : await begin(await this.#options.dial());
    })();
    this.#session = opening;
    return opening;
  }

  async #once(session: ClientHttp2Session, asked: HttpRequest): Promise<HttpReply> {
    let stream: ClientHttp2Stream | undefined;
    const stop = (): void => stream?.close(constants.NGHTTP2_CANCEL);
    try {
      stream = session.request(headersOf(asked), { endStream: (asked.body ?? []).length === 0 });
      asked.signal?.addEventListener('abort', stop, { once: true });
      const reply = await this.#answer(stream, asked);
      checkLength(reply, asked.method);
      return reply;
    } catch (error) {
      throwIfCancelled(asked.signal);
      throw exchangeError(named(error), false);
    } finally {
      asked.signal?.removeEventListener('abort', stop);
      // Of a refusal that came early the rest of the request is not sent.
      if (stream && !stream.writableFinished) stream.close(constants.NGHTTP2_CANCEL);
    }
  }

  async #answer(stream: ClientHttp2Stream, { body = [], ...asked }: HttpRequest): Promise<HttpReply> {
    const { silenceMs } = this.#options;
    stream.setTimeout(silenceMs, () => {
      stream.destroy(broken('ETIMEDOUT', `silent for ${Math.round(silenceMs / 1000)} s`));
    });
    const answer = new Promise<HttpReply>((resolve, reject) => {
      // Read from the very event on: what nobody listens to is discarded when the stream ends.
      // Bound: the session's events come from elsewhere than the call, and the call has a pace.
      const read = AsyncResource.bind((headers: IncomingHttpHeaders) => resolve(replyOf(stream, headers, asked)));
      stream.once('response', read);
      stream.on('error', reject); // stays: an error later reaches the reader of the body, too
      stream.once('close', () => reject(broken('ECONNRESET', 'the stream ended before the answer')));
    });
    const [reply] = await Promise.all([answer, Promise.race([send(stream, body), answer])]);
    return reply;
  }
}

/** By events from the first one on: what nobody listens to when it comes may be discarded. */
async function replyOf(
  stream: ClientHttp2Stream,
  headers: IncomingHttpHeaders,
  { room, mostBytes }: Pick<HttpRequest, 'room' | 'mostBytes'>,
): Promise<HttpReply> {
  const head = { status: Number(headers[':status'] ?? 0), headers };
  return { ...head, body: await receive(stream, bodyOf(room?.(head), mostBytes)) };
}

async function begin(socket: Socket): Promise<ClientHttp2Session> {
  const session = connect('http://localhost', {
    createConnection: () => socket,
    settings: { initialWindowSize: windowBytes, enablePush: false },
  });
  // What ends it ends its exchanges, which say so.
  session.on('error', () => {});
  await new Promise<void>((resolve, reject) => {
    session.once('connect', () => resolve());
    session.once('close', () => reject(broken('ECONNRESET', 'the stream ended at once')));
  });
  session.setLocalWindowSize(sessionWindowBytes);
  return session;
}

function headersOf({ method, protocol, host, path, headers, body = [] }: HttpRequest): Record<string, string> {
  const length = body.reduce((sum, part) => sum + part.byteLength, 0);
  const sized = length > 0 || method === 'PUT' || method === 'POST';
  return {
    ':method': method,
    ':scheme': protocol.slice(0, -1),
    ':authority': host,
    ':path': path,
    ...headers,
    ...(sized ? { 'content-length': String(length) } : {}),
  };
}

async function send(stream: ClientHttp2Stream, body: readonly Uint8Array[]): Promise<void> {
  if (body.length === 0) return;
  for (const piece of pieces(body)) {
    for await (const slice of atItsPace(piece)) {
      if (stream.destroyed || stream.closed) return;
      if (!stream.write(slice)) await drained(stream);
    }
  }
  stream.end();
}

function drained(stream: ClientHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off('drain', done).off('close', done);
      resolve();
    };
    stream.on('drain', done).on('close', done);
  });
}

/** Where a stream is cut in the middle, node may take it for its end. */
function checkLength({ headers, body }: HttpReply, method: string): void {
  const promised = headers['content-length'];
  if (promised === undefined || method === 'HEAD' || Number(promised) === body.byteLength) return;
  throw broken('ECONNRESET', `${body.byteLength} of ${promised} bytes came`);
}

/** Errors of the protocol's own are those of a connection that broke. */
function named(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (!(error instanceof Error) || !/^ERR_(HTTP2|STREAM)/.test(code)) return error;
  return broken('ECONNRESET', error.message);
}
