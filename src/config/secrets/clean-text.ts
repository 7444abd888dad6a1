/** Finds secrets in texts that are no secret settings: passwords in URLs, in command lines, in comments. */

import { type KnownTexts, knownTexts } from './known-texts.ts';

/** Stands where a secret was. */
export const removedMark = '***';

const urlPassword = /\b([a-z][a-z0-9+.-]*:\/\/[^\s/:@?#'"]*):([^\s/@'"]+)@/gi;
/** A user of an http URL that is alone and long is a token. */
const urlToken = /\b(https?:\/\/)[^\s/:@?#'"]{16,}@/gi;
const queryParameter = /([?&;][^=&\s'"]*(?:pass|secret|token|sig|cred|auth|api_?key)[^=&\s'"]*=)[^&\s#'"]+/gi;
/** `PGPASSWORD=abc`, `--password=abc`; not `PGPASSWORD=$OTHER`. */
const assignment =
  /(\b[\w-]*(?:pass|passwd|password|passphrase|pwd|secret|token|api[-_]?key)\s*=\s*)(?![\s$]|\*\*\*)("[^"]*"|'[^']*'|[^\s'"]+)/gi;
const authorization = /\b((?:bearer|basic)\s+)[\w+/=.~-]{8,}/gi;
/** `# password: old-one`; not `# password: { file: … }`. */
const commented =
  /(\b[\w-]*(?:password|passphrase|passwd|secret|token|api[-_]?key)\s*:\s*)(?![\s{$]|\*\*\*)("[^"]*"|'[^']*'|[^\s'",}]+)/gi;
const secretName =
  /(?:pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|authorization|api[-_]?key|private[-_]?key)$/i;

/** Without what looks like a secret, and without the given ones. */
export function cleanText(text: string, secrets: readonly string[]): string {
  return formsOf(secrets)
    .remove(text, removedMark)
    .replace(urlPassword, `$1:${removedMark}@`)
    .replace(urlToken, `$1${removedMark}@`)
    .replace(queryParameter, `$1${removedMark}`)
    .replace(assignment, `$1${removedMark}`)
    .replace(authorization, `$1${removedMark}`);
}

const forms = new WeakMap<readonly string[], KnownTexts>();

/** In every form they may be written in; made once for a list, which does not change. */
export function formsOf(secrets: readonly string[]): KnownTexts {
  const known = forms.get(secrets) ?? knownTexts(flatForms(secrets));
  forms.set(secrets, known);
  return known;
}

function* flatForms(secrets: readonly string[]): Generator<string> {
  for (const secret of secrets) yield* writtenForms(secret);
}

/** Without what looks like a secret, whatever it is. */
export function withoutSecretText(text: string): string {
  return cleanText(text, []);
}

/** The same for a comment, where whole settings may be written out. */
export function cleanComment(text: string, secrets: readonly string[]): string {
  return cleanText(text, secrets).replace(commented, `$1${removedMark}`);
}

/** True if a setting of this name is a secret unless it is a path or a variable. */
export function namesSecret(key: string, value: string): boolean {
  return secretName.test(key) && value !== '' && !/^(?:[~./$]|op:\/\/)/.test(value);
}

/** Long enough that its appearance anywhere is no chance: words that are passwords, too, may stand in paths and names. */
export function isUnmistakable(secret: string): boolean {
  return secret.length >= 12 || (secret.length >= 8 && /[^A-Za-z]/.test(secret));
}

/** As it is, in JSON's and YAML's quotes, and in a URL. */
function writtenForms(secret: string): string[] {
  const inUrl = encodeURIComponent(secret);
  return [...new Set([secret, JSON.stringify(secret).slice(1, -1), secret.replaceAll("'", "''"), inUrl])];
}
