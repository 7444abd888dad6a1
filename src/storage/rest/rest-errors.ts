/** What a REST server answers, as errors an operator can act on. */
import { HoldfastError } from '../../base/errors.ts';
import type { HttpReply } from '../../protocols/http/exchange.ts';
import type { Meaning } from '../http-faults.ts';
import { isPassingStatus, parseRetryAfter, retryAfterMs } from '../retry.ts';

const full: Meaning = {
  code: 'storage.full',
  remedy: 'Free space on the server or raise its quota, then run it again; what was stored so far is kept.',
};

const meanings: Readonly<Record<number, Meaning>> = {
  400: {
    code: 'storage.io',
    remedy:
      'The server does not say why: see its log. rest-server answers like this when its disk is full, and when bytes changed on the way.',
  },
  401: {
    code: 'storage.denied',
    remedy: 'Check rest.user and rest.password (or those in the URL): the server does not let them in.',
  },
  403: {
    code: 'storage.denied',
    remedy:
      'The server refuses it. An append-only server lets nothing be deleted or replaced but locks: run forget and prune where the server is not append-only. Otherwise check that this user may use this path (--private-repos).',
  },
  404: {
    code: 'storage.not-found',
    remedy: 'Check the path of the URL. A new repository is made by holdfast repo init.',
  },
  405: { code: 'storage.denied', remedy: 'Is this restic’s REST server? Its URL ends with the repository’s path.' },
  413: full,
  507: full,
};

/** `doing` completes «cannot …». */
export function refusal(reply: HttpReply, doing: string, place: string, nowMs: number): HoldfastError {
  const { status, headers } = reply;
  const text = Buffer.from(reply.body.subarray(0, 200)).toString('utf8').trim();
  const wait = parseRetryAfter(headers['retry-after'], nowMs);
  const target = status >= 300 && status < 400 ? headers.location : undefined;
  return new HoldfastError({
    ...meaningOf(status, text, target),
    message: `cannot ${doing} in ${place}: the server answers ${status}${/^[\x20-\x7e]+$/.test(text) ? ` (${text})` : ''}`,
    context: { status, ...(wait === undefined ? {} : { [retryAfterMs]: wait }) },
  });
}

function meaningOf(status: number, text: string, target: string | undefined): Meaning {
  if (/no space left|quota exceeded/i.test(text)) return full;
  const known = meanings[status];
  if (known) return known;
  if (target !== undefined) return { code: 'storage.unreachable', remedy: `It is elsewhere: write rest:${target}.` };
  const retry = isPassingStatus(status) ? 'later' : 'never';
  const remedy = 'The server has a fault of its own (a full disk is a usual one): see its log, and run it again later.';
  return { code: 'storage.unreachable', remedy, retry };
}

export function badAnswer(doing: string, place: string, why: string): HoldfastError {
  return new HoldfastError({
    code: 'storage.io',
    message: `cannot ${doing} in ${place}: ${why}`,
    remedy: 'Is this restic’s REST server? Something in between may have changed the answer.',
  });
}
