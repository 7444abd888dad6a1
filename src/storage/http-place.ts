/** A folder on an HTTP server, as the URLs of such storages name it: `rest:https://user:password@host/path/`. */
import { HoldfastError } from '../base/errors.ts';
import { Secret } from '../base/secrets.ts';

export interface HttpPlace {
  readonly protocol: 'http:' | 'https:';
  /** With its port, if it is not the usual one. */
  readonly host: string;
  /** Escaped, with a slash at both ends. */
  readonly path: string;
  readonly user?: string;
  readonly password?: Secret;
  /** Without secrets. */
  readonly shown: string;
}

/** `url` begins with `kind` and one character. `usage.invalid`, which does not show it. */
export function parseHttpPlace(
  url: string,
  { kind, title, urlForm }: { readonly kind: string; readonly title: string; readonly urlForm: string },
): HttpPlace {
  const inner = URL.parse(url.slice(kind.length + 1));
  const protocol = inner?.protocol;
  if (!inner || (protocol !== 'http:' && protocol !== 'https:') || inner.search !== '' || inner.hash !== '') {
    throw new HoldfastError({
      code: 'usage.invalid',
      message: `the URL that begins with ${kind}: is not that of a ${title}`,
      remedy: `Write ${urlForm}; user and password stand better in the settings under «${kind}:».`,
    });
  }
  const path = inner.pathname.endsWith('/') ? inner.pathname : `${inner.pathname}/`;
  return {
    ...{ protocol, host: inner.host, path },
    user: inner.username === '' ? undefined : decodeURIComponent(inner.username),
    password: inner.password === '' ? undefined : new Secret(decodeURIComponent(inner.password)),
    shown: `${kind}:${protocol}//${inner.host}${path}`,
  };
}
