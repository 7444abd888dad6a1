/** How a repository on a REST server is written: restic's form `rest:http://user:password@host:8000/path/`. */
import { HoldfastError } from '../../base/errors.ts';
import { Secret } from '../../base/secrets.ts';

export const urlForm = 'rest:https://host:8000/path/';

export interface RestPlace {
  readonly protocol: 'http:' | 'https:';
  /** With its port. */
  readonly host: string;
  /** Escaped, with a slash at both ends. */
  readonly path: string;
  readonly user?: string;
  readonly password?: Secret;
  /** Without secrets. */
  readonly shown: string;
}

export function isRestUrl(url: string): boolean {
  return url.startsWith('rest:');
}

/** `usage.invalid`. */
export function parseRestUrl(url: string): RestPlace {
  const inner = URL.parse(url.slice('rest:'.length));
  const protocol = inner?.protocol;
  if (!inner || (protocol !== 'http:' && protocol !== 'https:') || inner.search !== '' || inner.hash !== '') {
    throw new HoldfastError({
      code: 'usage.invalid',
      message: 'the URL that begins with rest: is not that of a REST server',
      remedy: `Write ${urlForm}; user and password stand better in the settings under «rest:».`,
    });
  }
  const path = inner.pathname.endsWith('/') ? inner.pathname : `${inner.pathname}/`;
  return {
    ...{ protocol, host: inner.host, path },
    user: inner.username === '' ? undefined : decodeURIComponent(inner.username),
    password: inner.password === '' ? undefined : new Secret(decodeURIComponent(inner.password)),
    shown: `rest:${protocol}//${inner.host}${path}`,
  };
}
