/** One HTTP request with a message in it: bounded in time and bytes, no redirect followed, errors in words that hold no secret. */
import type { IncomingHttpHeaders } from 'node:http';
import { type Clock, parseHttpDate } from '../base/clock.ts';
import { HoldfastError, hasCode, type Retry, systemCode } from '../base/errors.ts';
import { inTime } from '../base/in-time.ts';
import { ExchangeError, type HttpExchanges, type HttpReply } from '../protocols/http/exchange.ts';
import { cut, oneLine } from './text.ts';

export interface Post {
  readonly url: URL;
  /** JSON, unless it is text already. */
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

export interface Poster {
  readonly clock: Clock;
  readonly exchanges: HttpExchanges;
  /** How errors call the other side: `ntfy.example`. */
  readonly title: string;
  /** What must not be in an error: tokens, and paths that are secrets. */
  readonly secrets: readonly string[];
  /** What helps where the other side refused: by status, or for all others. */
  readonly remedies: { readonly [status: number]: string; readonly other: string };
}

/** All of it, from the look-up of the name to the end of the reply. */
const timeoutMs = 30_000;
/** What receivers answer is short; nobody reads more of it. */
const mostReplyBytes = 256 * 1024;
const longestWaitMs = 24 * 3_600_000;

/** The reply's text where the other side took it (2xx). `channel.failed`. */
export async function post(poster: Poster, { url, body, headers = {}, signal }: Post): Promise<string> {
  const isText = typeof body === 'string';
  const request = {
    method: 'POST',
    protocol: url.protocol === 'https:' ? ('https:' as const) : ('http:' as const),
    host: url.host,
    path: url.pathname + url.search,
    headers: {
      'content-type': isText ? 'text/plain; charset=utf-8' : 'application/json',
      accept: '*/*',
      'user-agent': 'holdfast',
      ...headers,
    },
    body: [Buffer.from(isText ? body : JSON.stringify(body))],
    mostBytes: mostReplyBytes,
  };
  const late = failed(poster, `did not answer within ${timeoutMs / 1000} s`, { retry: 'later' });
  const limits = { clock: poster.clock, timeoutMs, signal };
  const reply = await inTime(limits, late, (both) => poster.exchanges.exchange({ ...request, signal: both })).catch(
    (error: unknown) => {
      throw unreachable(poster, error);
    },
  );
  const text = Buffer.from(reply.body).toString();
  if (reply.status >= 200 && reply.status < 300) return text;
  throw refused(poster, reply, text);
}

function unreachable(poster: Poster, error: unknown): unknown {
  if (systemCode(error) === 'ERR_INVALID_CHAR') {
    return failed(poster, 'was not asked: a token or header holds a character that none may hold', {
      retry: 'never',
      remedy: 'Write the secret anew, without line ends and letters beyond Latin ones.',
    });
  }
  if (!(error instanceof ExchangeError) || hasCode(error, 'cancelled')) return error;
  const isTrust = /CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|ALTNAME/.test(error.code);
  return failed(poster, `could not be reached: ${masked(error.message, poster.secrets)}`, {
    retry: 'later',
    remedy: isTrust
      ? 'Correct the certificate of the server, or name its issuer under «ca».'
      : 'Check the address, and that this machine reaches it.',
  });
}

function refused(poster: Poster, { status, headers }: HttpReply, text: string): HoldfastError {
  const said = cut(oneLine(masked(text, poster.secrets)), 200);
  const retryAfterMs = retryAfter(headers, poster.clock.nowMs()) ?? retryAfterIn(text);
  const isLater = status === 408 || status === 425 || status === 429 || status >= 500;
  return failed(poster, `answered with status ${status}${said === '' ? '' : `: ${said}`}`, {
    retry: isLater ? 'later' : 'never',
    remedy:
      status >= 300 && status < 400
        ? 'Write the address it sends to: with secrets, a redirect is not followed.'
        : (poster.remedies[status] ?? poster.remedies.other),
    retryAfterMs,
  });
}

/** RFC 9110, 10.2.3: seconds, or a date. Some services send it with fractions. At most a day. */
export function retryAfter(headers: IncomingHttpHeaders, nowMs: number): number | undefined {
  const value = headers['retry-after'];
  if (value === undefined) return undefined;
  const atMs = /^\d+(\.\d+)?$/.test(value) ? nowMs + Number(value) * 1000 : parseHttpDate(value);
  return atMs === undefined ? undefined : Math.min(Math.max(Math.ceil(atMs - nowMs), 0), longestWaitMs);
}

/** Telegram and Discord say it in the body: `"retry_after": 1.5`, in seconds. */
function retryAfterIn(text: string): number | undefined {
  const seconds = /"retry_after"\s*:\s*(\d{1,9}(?:\.\d{1,9})?)/.exec(text)?.[1];
  return seconds === undefined ? undefined : Math.min(Math.ceil(Number(seconds) * 1000), longestWaitMs);
}

export interface Failure {
  readonly retry: Retry;
  readonly remedy?: string;
  readonly retryAfterMs?: number;
}

export function failed(
  { title, remedies }: Pick<Poster, 'title' | 'remedies'>,
  what: string,
  { retry, remedy = remedies.other, retryAfterMs }: Failure,
): HoldfastError {
  return new HoldfastError({
    code: 'channel.failed',
    message: `${title} ${what}`,
    remedy,
    retry,
    ...(retryAfterMs === undefined ? {} : { context: { retryAfterMs } }),
  });
}

/** Services quote what they were sent. */
export function masked(text: string, secrets: readonly string[]): string {
  const spellings = secrets.flatMap(spellingsOf);
  const longestFirst = spellings.filter((one) => one.length > 3).toSorted((a, b) => b.length - a.length);
  return longestFirst.reduce((rest, secret) => rest.replaceAll(secret, '[secret]'), text);
}

/** As it is, in URLs (with small digits, too), and in JSON (with escaped slashes, too). */
function spellingsOf(secret: string): string[] {
  const inUrl = encodeURIComponent(secret);
  const inJson = JSON.stringify(secret).slice(1, -1);
  const small = inUrl.replaceAll(/%[0-9A-F]{2}/g, (digits) => digits.toLowerCase());
  return [secret, inUrl, small, inJson, inJson.replaceAll('/', '\\/')];
}
