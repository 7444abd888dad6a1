/** How a folder on a WebDAV server is written: `webdav:https://user@host/path/`; `webdav+https://…` means the same. */
import { HoldfastError } from '../../base/errors.ts';
import { Secret } from '../../base/secrets.ts';

export const urlForm = 'webdav:https://host/path/';

export interface WebdavPlace {
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

export function isWebdavUrl(url: string): boolean {
  return /^webdav[:+]/i.test(url);
}

/** `usage.invalid`. */
export function parseWebdavUrl(url: string): WebdavPlace {
  const inner = URL.parse(url.slice('webdav:'.length));
  const protocol = inner?.protocol;
  if (!inner || (protocol !== 'http:' && protocol !== 'https:') || inner.search !== '' || inner.hash !== '') {
    throw new HoldfastError({
      code: 'usage.invalid',
      message: 'the URL that begins with webdav is not that of a WebDAV folder',
      remedy: `Write ${urlForm}; user and password stand better in the settings under «webdav:».`,
    });
  }
  const path = inner.pathname.endsWith('/') ? inner.pathname : `${inner.pathname}/`;
  return {
    ...{ protocol, host: inner.host, path },
    user: inner.username === '' ? undefined : decodeURIComponent(inner.username),
    password: inner.password === '' ? undefined : new Secret(decodeURIComponent(inner.password)),
    shown: `webdav:${protocol}//${inner.host}${path}`,
  };
}
