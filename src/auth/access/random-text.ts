/** Secrets that are made here, and what is kept of them. */
import { createHash, randomBytes } from 'node:crypto';
import { Secret } from '../../base/secrets.ts';

const letters = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** Crockford's base 32: nothing that is mistaken for something else when it is typed. */
const typed = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** 256 bits in 43 letters and digits. */
export function newSecretText(): string {
  return randomText(letters, 43);
}

/** `groups` times five characters to be typed: 25 bits each. */
export function newTypedCode(groups: number): Secret {
  return new Secret(Array.from({ length: groups }, () => randomText(typed, 5)).join('-'));
}

/** What a person made of a typed code: case, hyphens and spaces do not count, nor does O for 0 or I and L for 1. */
export function canonicalCode(text: string): string {
  return text.toUpperCase().replace(/[\s-]/g, '').replaceAll('O', '0').replace(/[IL]/g, '1');
}

/** SHA-256, in hex. Enough for what is random: there is nothing to guess. */
export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function randomText(alphabet: string, length: number): string {
  // Bytes beyond the last whole multiple are thrown away: every character is equally likely.
  const bound = 256 - (256 % alphabet.length);
  let text = '';
  while (text.length < length) {
    for (const byte of randomBytes(64)) {
      if (byte < bound && text.length < length) text += alphabet[byte % alphabet.length];
    }
  }
  return text;
}
