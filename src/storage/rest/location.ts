/** How a repository on a REST server is written: restic's form `rest:http://user:password@host:8000/path/`. */
import { type HttpPlace, parseHttpPlace } from '../http-place.ts';

export const urlForm = 'rest:https://host:8000/path/';

export function isRestUrl(url: string): boolean {
  return url.startsWith('rest:');
}

/** `usage.invalid`. */
export function parseRestUrl(url: string): HttpPlace {
  return parseHttpPlace(url, { kind: 'rest', title: 'REST server', urlForm });
}
