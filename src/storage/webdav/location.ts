/** How a folder on a WebDAV server is written: `webdav:https://user@host/path/`; `webdav+https://…` means the same. */
import { type HttpPlace, parseHttpPlace } from '../http-place.ts';

export const urlForm = 'webdav:https://host/path/';

export function isWebdavUrl(url: string): boolean {
  return /^webdav[:+]/i.test(url);
}

/** `usage.invalid`. */
export function parseWebdavUrl(url: string): HttpPlace {
  return parseHttpPlace(url, { kind: 'webdav', title: 'WebDAV folder', urlForm });
}
