/**
 * One HTTP/1.1 exchange at a time over kept connections: bodies go out of the caller's memory and come into it, every silence
 * has an end, and an abort ends an exchange at once, or when it has got its connection. Status codes and tries are the caller's business.
 */
import {
  type ClientRequest,
  Agent as HttpAgent,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
} from 'node:http';
import { Agent as HttpsAgent, request as secureRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { createSecureContext, getCACertificates } from 'node:tls';
import { HoldfastError, throwIfCancelled } from '../../base/errors.ts';
import { atItsPace, currentPace } from '../../base/pace.ts';

export interface HttpRequest {
  readonly method: string;
  readonly protocol: 'http:' | 'https:';
  /** With the port, if it is not the protocol's own. */
  readonly host: string;
  /** Escaped, with the query: sent as it is. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** May lie in shared memory; `content-length` is set from it. */
  readonly body?: readonly Uint8Array[];
  /** The memory a reply's body must fill exactly; `undefined`: it is collected (at most `collectBytes`). */
  readonly room?: (head: HttpReplyHead) => Uint8Array | undefined;
  /** Of a body that is collected: more is an error. Default: 32 MiB. */
  readonly mostBytes?: number;
  readonly signal?: AbortSignal;
  /**
   * What was sent completely may take effect whether or not somebody waits: then the answer is awaited, a moment at most,
   * even if the signal is aborted, so that the caller can say what is.
   */
  readonly decisive?: boolean;
}

export interface HttpReplyHead {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
}

export interface HttpReply extends HttpReplyHead {
  readonly body: Uint8Array;
}

/** Exchanges over whatever leads to the other side. */
export interface HttpExchanges {
  exchange(asked: HttpRequest): Promise<HttpReply>;
  /** Resolves when nothing of it is left. */
  close(): void | Promise<void>;
}

export interface ConnectionOptions {
  /** Connections at once per host; further exchanges wait for one. */
  readonly maxConnections: number;
  /** How long a connection may be silent while something is expected of the other side. */
  readonly silenceMs: number;
  /** PEM certificates trusted besides the usual ones. */
  readonly ca?: string;
  /** `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` are heeded. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** No reply came, or not all of it. `code` is that of the system's error where there is one. */
export class ExchangeError extends Error {
  readonly code: string;
  /** True if the connection had been used before: the other side may just have closed it. */
  readonly reused: boolean;

  constructor(code: string, message: string, reused: boolean, cause?: unknown) {
    super(message, { cause });
    this.code = code;
    this.reused = reused;
  }
}

/** How long the answer to a decisive request is awaited after an abort. */
const momentMs = 5000;
/** A body that is collected is a list or an error: nothing sound is larger. */
const collectBytes = 32 * 1024 * 1024;
/** Parts are sent in pieces of this size at most; smaller ones are gathered up to `gatherBytes`. */
const pieceBytes = 1024 * 1024;
const gatherBytes = 64 * 1024;

export class HttpConnections implements HttpExchanges {
  readonly #plain: HttpAgent;
  readonly #secure: HttpsAgent;
  readonly #silenceMs: number;

  constructor({ maxConnections, silenceMs, ca, env }: ConnectionOptions) {
    const common = {
      keepAlive: true,
      maxSockets: maxConnections,
      maxFreeSockets: maxConnections,
      proxyEnv: { ...env },
    };
    this.#plain = new HttpAgent(common);
    // Once for all connections: as a list it would be read anew by each, and be part of the key the agent looks them up by.
    const trusting =
      ca === undefined ? {} : { secureContext: createSecureContext({ ca: [...getCACertificates('default'), ca] }) };
    this.#secure = new HttpsAgent({ ...common, ...trusting });
    this.#silenceMs = silenceMs;
  }

  /** `ExchangeError` if the reply did not come whole; `cancelled` once the signal is aborted. Memory: the reply's body, unless there is room for it. */
  async exchange(asked: HttpRequest): Promise<HttpReply> {
    throwIfCancelled(asked.signal);
    const outgoing = this.#begin(asked);
    const stop = (): void => {
      if (asked.decisive && outgoing.writableEnded) outgoing.setTimeout(momentMs);
      else outgoing.destroy();
    };
    asked.signal?.addEventListener('abort', stop, { once: true });
    try {
      const reply = await answerTo(outgoing, asked.body ?? []);
      const head = { status: reply.statusCode ?? 0, headers: reply.headers };
      const room = asked.room?.(head);
      const body = await receive(reply, bodyOf(room, asked.mostBytes));
      // An answer that came before the whole request was sent: the rest must not be sent as the beginning of another one.
      if (!outgoing.writableFinished) outgoing.destroy();
      return { ...head, body };
    } catch (error) {
      outgoing.destroy();
      throwIfCancelled(asked.signal);
      throw exchangeError(error, outgoing.reusedSocket);
    } finally {
      asked.signal?.removeEventListener('abort', stop);
    }
  }

  /** Ends kept connections; an exchange under way goes on. */
  close(): void {
    this.#plain.destroy();
    this.#secure.destroy();
  }

  #begin({ method, protocol, host, path, headers, body = [] }: HttpRequest): ClientRequest {
    const { hostname, port } = new URL(`${protocol}//${host}`);
    const secure = protocol === 'https:';
    const length = body.reduce((sum, part) => sum + part.byteLength, 0);
    const sized = length > 0 || method === 'PUT' || method === 'POST';
    const outgoing = (secure ? secureRequest : request)({
      method,
      hostname: hostname.replace(/^\[|\]$/g, ''),
      port: port === '' ? undefined : Number(port),
      path,
      headers: sized ? { ...headers, 'content-length': String(length) } : headers,
      agent: secure ? this.#secure : this.#plain,
      timeout: this.#silenceMs,
    });
    outgoing.on('timeout', () => {
      const seconds = Math.round(this.#silenceMs / 1000);
      outgoing.destroy(Object.assign(new Error(`silent for ${seconds} s`), { code: 'ETIMEDOUT' }));
    });
    return outgoing;
  }
}

/** Sends the body and waits for the head of the reply, which may come before the body is through. */
async function answerTo(outgoing: ClientRequest, body: readonly Uint8Array[]): Promise<IncomingMessage> {
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve);
    // Stays: an error after the head came reaches the reader of the body, too, and must not be unhandled here.
    outgoing.on('error', reject);
  });
  const [reply] = await Promise.all([answer, Promise.race([send(outgoing, body), answer])]);
  return reply;
}

async function send(outgoing: ClientRequest, body: readonly Uint8Array[]): Promise<void> {
  for (const piece of pieces(body)) {
    for await (const slice of atItsPace(piece)) {
      if (outgoing.destroyed) return;
      if (!outgoing.write(slice)) await drained(outgoing);
    }
  }
  outgoing.end();
}

/** Resolves when more can be written, or nothing any more. */
function drained(outgoing: ClientRequest): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      outgoing.off('drain', done).off('close', done);
      resolve();
    };
    outgoing.on('drain', done).on('close', done);
  });
}

/** The parts' bytes in pieces worth a system call: large parts in slices, without a copy; runs of small ones together. */
export function* pieces(parts: readonly Uint8Array[]): Generator<Uint8Array> {
  let gathered: Uint8Array[] = [];
  let size = 0;
  for (const part of parts) {
    if (size > 0 && size + part.byteLength > gatherBytes) {
      yield Buffer.concat(gathered);
      gathered = [];
      size = 0;
    }
    if (part.byteLength >= gatherBytes) {
      for (let at = 0; at < part.byteLength; at += pieceBytes) yield part.subarray(at, at + pieceBytes);
    } else if (part.byteLength > 0) {
      gathered.push(part);
      size += part.byteLength;
    }
  }
  if (size > 0) yield Buffer.concat(gathered);
}

/**
 * Takes a body as it comes, at the pace of the call. By events: they cost a fraction of what an iterator does, and a body of
 * many megabytes comes in pieces of 16 KiB. Rejects if the stream ends before the body.
 */
export async function receive(body: Readable, { take, whole }: ReturnType<typeof bodyOf>): Promise<Uint8Array> {
  const pace = currentPace();
  await new Promise<void>((resolve, reject) => {
    body.on('data', (chunk: Buffer) => {
      try {
        take(chunk);
      } catch (error) {
        reject(error);
        body.destroy();
        return;
      }
      if (!pace) return;
      body.pause();
      pace(chunk.byteLength).then(() => body.resume(), reject);
    });
    body.once('end', resolve);
    body.on('error', reject); // stays: whoever lets go of it may be told so once more
    body.once('close', () => reject(broken('ECONNRESET', 'the stream ended before the body')));
  });
  return whole();
}

/** Where chunks of a body go: into `room`, which they must fill exactly, or together (at most `mostBytes`). Both functions throw what is wrong. */
export function bodyOf(
  room: Uint8Array | undefined,
  mostBytes = collectBytes,
): { take(chunk: Uint8Array): void; whole(): Uint8Array } {
  const chunks: Uint8Array[] = [];
  const limit = room?.byteLength ?? mostBytes;
  let size = 0;
  return {
    take: (chunk) => {
      if (size + chunk.byteLength > limit) throw broken('EMSGSIZE', `more than ${limit} bytes came`);
      if (room) room.set(chunk, size);
      else chunks.push(chunk);
      size += chunk.byteLength;
    },
    whole: () => {
      if (room && size < room.byteLength) throw broken('ECONNRESET', `${size} of ${room.byteLength} bytes came`);
      return room ?? Buffer.concat(chunks);
    },
  };
}

/** An error as the system's own are. */
export function broken(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

/** Faults of the program come back as they are. */
export function exchangeError(error: unknown, reused: boolean): unknown {
  if (!(error instanceof Error) || error instanceof HoldfastError) return error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'ECONNRESET';
  // Faults of the program are none of the network's.
  if (error instanceof TypeError || error instanceof RangeError) return error;
  return new ExchangeError(code, error.message === '' ? code : error.message, reused, error);
}
