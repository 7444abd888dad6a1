/** Ids that sort by the time they were made (ULID): 48 bits of milliseconds, 80 random ones, 26 characters of Crockford's base 32. */
import { randomBytes } from 'node:crypto';

const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

export function sortableId(nowMs: number): string {
  let id = '';
  for (let rest = nowMs, i = 0; i < 10; i++, rest = Math.floor(rest / 32)) id = alphabet[rest % 32] + id;
  for (const byte of randomBytes(16)) id += alphabet[byte % 32];
  return id;
}

/** The instant an id was made at; `undefined` if it is none. */
export function timeOfSortableId(id: string): number | undefined {
  if (!/^[0-9A-HJKMNP-TV-Z]{26}$/.test(id)) return undefined;
  return [...id.slice(0, 10)].reduce((ms, letter) => ms * 32 + alphabet.indexOf(letter), 0);
}
