/** Settings that several kinds have. */
import { readFile } from 'node:fs/promises';
import { unescape as decoded } from 'node:querystring';
import { z } from 'zod';
import { HoldfastError, messageOf } from '../base/errors.ts';
import type { SecretReference } from '../base/secret-reference.ts';
import type { Severity } from '../model/event.ts';
import type { ChannelUses } from './channel.ts';

/** A plain http(s) address: what is secret goes under a key of its own. */
export const webAddress = (description: string) =>
  z
    .string()
    .regex(/^https?:\/\/[^/?#@\s]+([/?][^#@\s]*)?$/, {
      error: 'is not like https://host/path (without a password in it)',
    })
    .describe(description);

export const caSetting = z
  .string()
  .min(1)
  .optional()
  .describe('A file of certificates (PEM) to trust besides the usual ones, where the server has one of your own.');

/** A level by severity, where a kind has levels. */
export const levelsSetting = (least: number, most: number, defaults: Readonly<Record<Severity, number>>) => {
  const level = (severity: Severity) =>
    z.int().min(least).max(most).default(defaults[severity]).describe(`Default: ${defaults[severity]}.`);
  return z
    .strictObject({ error: level('error'), warning: level('warning'), info: level('info') })
    .default({ ...defaults })
    .describe(`The priority (${least} to ${most}) by severity: { error: ${defaults.error}, warning: …, info: … }.`);
};

/** The certificates in a file. `config.invalid`. */
export async function readCa(path: string | undefined, owner: string): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new HoldfastError({
      code: 'config.invalid',
      message: `${owner}: the certificates cannot be read: ${messageOf(cause)}`,
      remedy: 'Correct the path under «ca».',
      cause,
    });
  }
}

/** The address in a secret, as services give it: `https://hooks.example/services/T0/B0/x`. `config.invalid`. */
export function secretAddress(text: string, owner: string): URL {
  const url = URL.parse(text);
  if (url && /^https?:$/.test(url.protocol) && url.username === '') return url;
  throw new HoldfastError({
    code: 'config.invalid',
    message: `${owner}: what is given as its address is none`,
    remedy: 'Give the whole address that the service showed, beginning with https://.',
  });
}

/** What of a secret address is not to be told: services quote it whole, in parts, and decoded. Words like «services» may. */
export function secretParts({ pathname, search, searchParams }: URL): string[] {
  const inPath = pathname.split('/').flatMap((part) => [part, decoded(part)]);
  const inQuery = [...searchParams.values()].filter((value) => value.length > 5);
  return [pathname + search, pathname, search, ...inPath.filter((part) => part.length > 8), ...inQuery];
}

/** A secret of the channel: `secretText(uses, token, 'token')`. `secret.unavailable`. */
export async function secretText(uses: ChannelUses, reference: SecretReference, noun: string): Promise<string> {
  return (await uses.secret(reference, `the ${noun} of the channel ${uses.name}`)).reveal();
}
