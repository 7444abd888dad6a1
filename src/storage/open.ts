/** Opens a storage by its URL. Knows the contract only; which kinds there are is given by the caller. */
import { systemClock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import type { AnyStorageKind, Storage, StorageTools } from './storage.ts';

/**
 * Opens `url` with the first kind that recognises it; `usage.invalid` names the known forms if none does. `settings` are
 * those of the repository's entry, checked; without `tools` only secrets in the clear can be read.
 */
export async function openStorage(
  kinds: readonly AnyStorageKind[],
  url: string,
  { create, settings, tools = plainTools() }: OpenRequest,
): Promise<Storage> {
  const kind = kinds.find((candidate) => candidate.recognises(url));
  if (kind) return kind.open(url, { create, settings: settings ?? kind.settings?.parse({}), tools });
  const forms = kinds.map((known) => `${known.name}: ${known.urlForm}`).join('; ');
  throw new HoldfastError({
    code: 'usage.invalid',
    message: `${redactUrl(url)} is not the URL of a known storage`,
    remedy: `Use one of these forms. ${forms}`,
  });
}

export interface OpenRequest {
  readonly create: boolean;
  readonly settings?: unknown;
  readonly tools?: StorageTools;
}

function plainTools(): StorageTools {
  return {
    clock: systemClock,
    env: {},
    signal: new AbortController().signal,
    secret: async (reference, owner) => {
      if (reference.from === 'clear') return reference.secret;
      throw new HoldfastError({
        code: 'secret.unavailable',
        message: `the secret of ${owner} is not in the clear`,
        remedy: 'Give it directly.',
      });
    },
  };
}

const hidden = '***';
const secretParameter = /([?&;#])([^=&;#]*(?:pass|secret|token|key|sig|cred|auth)[^=&;#]*)=[^&;#]*/gi;

/**
 * The URL as it may be shown: passwords (`user:password@`), lone user parts of http(s) URLs (often tokens) and query
 * parameters whose name sounds like a secret are replaced by `***`. File paths come back unchanged.
 */
export function redactUrl(url: string): string {
  if (/^[/.]/.test(url)) return url;
  const at = url.indexOf('//');
  const shown = at < 0 ? redactPlain(url) : url.slice(0, at + 2) + redactAuthority(url.slice(at + 2), url.slice(0, at));
  return shown.replace(secretParameter, `$1$2=${hidden}`);
}

/** `scheme:user:password@host`, the forms without slashes. */
function redactPlain(url: string): string {
  return url.replace(/^([a-z][a-z0-9+.-]*:[^:@/]*):[^@]*@/i, `$1:${hidden}@`);
}

function redactAuthority(rest: string, scheme: string): string {
  const end = userEnd(rest);
  if (end < 0) return rest;
  const user = rest.slice(0, end);
  const colon = user.indexOf(':');
  if (colon >= 0) return `${user.slice(0, colon)}:${hidden}${rest.slice(end)}`;
  return /https?:$/i.test(scheme) ? hidden + rest.slice(end) : rest;
}

/** Where the user part ends (its `@`), or -1. A password with an unescaped slash is malformed, and hidden all the same. */
function userEnd(rest: string): number {
  const authority = rest.split(/[/?#]/, 1)[0];
  const inside = authority.lastIndexOf('@');
  const next = rest.indexOf('@');
  if (inside >= 0 || next < 0) return inside;
  return /:(?!\d*$|[^[]*\])/.test(authority) ? rest.lastIndexOf('@') : -1;
}
