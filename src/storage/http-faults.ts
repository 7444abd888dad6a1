/** What a server behind HTTP answers, or that it does not, as errors an operator can act on. */
import { readFile } from 'node:fs/promises';
import { type ErrorCode, HoldfastError, messageOf, type Retry } from '../base/errors.ts';
import { ExchangeError, type HttpReply } from '../protocols/http/exchange.ts';
import { isPassingNetworkError, isPassingStatus, parseRetryAfter, retryAfterMs } from './retry.ts';

/** What is asked of whom. */
export interface Asking {
  /** Completes «cannot …», e.g. `write data/ab/…`. */
  readonly doing: string;
  /** Without secrets. */
  readonly location: string;
  /** The key of the storage's settings, for remedies: `webdav`. */
  readonly settings: string;
}

export interface Meaning {
  readonly code: ErrorCode;
  readonly remedy: string;
  readonly retry?: Retry;
}

/** What statuses mean on every storage; each adds its own. */
export function meaningOfStatus(status: number, settings: string): Meaning {
  if (status === 413 || status === 507) {
    const remedy = 'Free space there or raise the quota, then run it again; what was stored so far is kept.';
    return { code: 'storage.full', remedy };
  }
  if (status === 429 || status === 503) {
    const remedy = `It is overloaded or limits how often it is asked: lower ${settings}.connections, or run it again later.`;
    return { code: 'storage.unreachable', remedy, retry: 'later' };
  }
  if (isPassingStatus(status)) {
    const remedy = 'It has a fault of its own (a full disk is a usual one): see its log, and run it again later.';
    return { code: 'storage.unreachable', remedy, retry: 'later' };
  }
  return { code: 'storage.io', remedy: 'Check the address: does it speak as it should? See its log.' };
}

/** The error an answer means. `words`: what it says itself. */
export function refusalOf(
  reply: HttpReply,
  meaning: Meaning,
  words: string,
  { doing, location }: Asking,
  nowMs: number,
): HoldfastError {
  const wait = parseRetryAfter(reply.headers['retry-after'], nowMs);
  const said = shortened(words);
  return new HoldfastError({
    ...meaning,
    message: `cannot ${doing} in ${location}: ${said === '' ? `HTTP status ${reply.status}` : `${said} (HTTP status ${reply.status})`}`,
    context: { status: reply.status, ...(wait === undefined ? {} : { [retryAfterMs]: wait }) },
  });
}

/** The error of a request that got no answer, or not all of one. Others come back as they are. */
export function noAnswerOf(error: unknown, { doing, location, settings }: Asking): unknown {
  if (!(error instanceof ExchangeError)) return error;
  const { code, reused } = error;
  const passing = isPassingNetworkError(code);
  return new HoldfastError({
    code: code === 'EMSGSIZE' ? 'storage.io' : 'storage.unreachable',
    message: `cannot ${doing} in ${location}: ${messageOf(error)}`,
    remedy: remedyOf(code, settings),
    retry: passing ? (reused ? 'now' : 'later') : 'never',
    context: { errno: code },
    cause: error,
  });
}

function remedyOf(code: string, settings: string): string {
  if (/CERT|SIGNED|SIGNATURE|ISSUER|ALTNAME/.test(code)) {
    return `The certificate is not trusted: name its authority’s file in ${settings}.ca, and use the host name it is for.`;
  }
  if (/SSL|EPROTO|HPE_/.test(code)) return 'Does it speak http where the URL says https, or the other way round?';
  if (code === 'ENOTFOUND') return 'No such host: check the address.';
  if (code === 'EMSGSIZE') return 'It sent more than was asked for: check the address, and proxies in between.';
  return 'Check the network and that the service runs; run it again when it is back.';
}

/** An answer that it should not give. */
export function strangeAnswer({ doing, location }: Asking, why: string, retry: Retry = 'never'): HoldfastError {
  return new HoldfastError({
    code: 'storage.io',
    message: `cannot ${doing} in ${location}: ${why}`,
    remedy: 'Check the address, and that no proxy in between changes the answers.',
    retry,
  });
}

/** The certificates of `SETTINGS.ca`; `config.invalid`. */
export async function trustedCertificates(path: string | undefined, settings: string): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new HoldfastError({
      code: 'config.invalid',
      message: `the certificates in ${path} cannot be read: ${messageOf(cause)}`,
      remedy: `Check ${settings}.ca: it must be a file in PEM form that this user may read.`,
      cause,
    });
  }
}

/** Servers repeat what they were sent at length; one line is enough. */
function shortened(words: string): string {
  const line = words
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim()
    .replace(/\.$/, '');
  return line.length > 300 ? `${line.slice(0, 300)}…` : line;
}
