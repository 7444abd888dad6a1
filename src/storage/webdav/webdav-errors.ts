/** What a WebDAV server refuses, as errors an operator can act on. */
import type { HoldfastError } from '../../base/errors.ts';
import type { HttpReply } from '../../protocols/http/exchange.ts';
import { type Asking, type Meaning, meaningOfStatus, refusalOf } from '../http-faults.ts';

const meanings: Readonly<Record<number, Meaning>> = {
  401: {
    code: 'storage.denied',
    remedy: 'Check webdav.user and webdav.password (or those in the URL): the server does not let them in.',
  },
  403: {
    code: 'storage.denied',
    remedy: 'The server refuses it: this user must be allowed to read, write, move and delete in this folder.',
  },
  404: {
    code: 'storage.not-found',
    remedy: 'Check the path of the URL. A new repository is made by holdfast repo init.',
  },
  405: {
    code: 'storage.denied',
    remedy: 'The server does not do that there. Is it a WebDAV folder? It needs PROPFIND, MKCOL, PUT, MOVE and DELETE.',
  },
  409: {
    code: 'storage.not-found',
    remedy: 'The folder it belongs into is not there: check the path of the URL.',
  },
  423: {
    code: 'storage.unreachable',
    remedy: 'Somebody has locked it, or writes there at the same moment: run it again later.',
    retry: 'later',
  },
  501: { code: 'storage.denied', remedy: 'The server does not know this request: is it a WebDAV folder?' },
};

export function askingOf(doing: string, location: string): Asking {
  return { doing, location, settings: 'webdav' };
}

export function refusal(reply: HttpReply, asking: Asking, nowMs: number): HoldfastError {
  const { status, headers } = reply;
  const words = wordsOf(reply);
  const target = status >= 300 && status < 400 ? headers.location : undefined;
  const full = /no space left|quota|insufficient storage/i.test(words) ? meaningOfStatus(507, 'webdav') : undefined;
  const moved: Meaning | undefined =
    target === undefined
      ? undefined
      : {
          code: 'storage.unreachable',
          remedy: `It is elsewhere: write webdav:${new URL(target, 'http://host').href}.`,
        };
  const meaning = full ?? moved ?? meanings[status] ?? meaningOfStatus(status, 'webdav');
  return refusalOf(reply, meaning, words, asking, nowMs);
}

/** Pages of HTML say less than their status. */
function wordsOf({ headers, body }: HttpReply): string {
  const text = Buffer.from(body.subarray(0, 2000)).toString('utf8');
  if (/html/i.test(headers['content-type'] ?? '')) return '';
  return /<[\w:]*message>([^<]*)</.exec(text)?.[1] ?? (text.includes('<') ? '' : text);
}
