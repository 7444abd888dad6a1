/**
 * The server's own key and what is sealed with it: secrets given over the API, secrets of one-time codes. AES-256-GCM
 * (NIST SP 800-38D) with a random nonce of 96 bits for each text; what it is for is authenticated with it, so that one sealed
 * text cannot stand in for another. `v1:` + base64 of nonce, tag of 128 bits, ciphertext.
 *
 * That a key is in use is written down in the catalogue, sealed by that key: a key that went missing or is another one is
 * found at the next start, and none is ever made in its place.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import { Secret } from '../../base/secrets.ts';
import { stateDirectory } from '../../base/state-directory.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { readSecret, type SecretReference } from '../../config/index.ts';
import { writeNewSecret } from '../new-file.ts';
import type { Execution, RepositoryAccess } from '../operation.ts';

const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;
const version = 'v1:';
/** Its row among the sealed secrets; no setting has a name like it. */
export const keyCheckName = ':key';
const keyCheckText = 'holdfast';

export interface Sealing {
  /** `purpose`: what it is for; the same has to be given to open it. */
  seal(clear: Secret, purpose?: string): string;
  /** `secret.unavailable` if it was sealed with another key or for another purpose, or was damaged. */
  open(sealed: string, purpose?: string): Secret;
}

type Uses = Pick<RepositoryAccess, 'config' | 'env' | 'localHost'> &
  Pick<Execution, 'signal'> & { readonly catalogue: Catalogue };

/**
 * Reads the key, and makes it where none was ever in use and the configuration names no place of its own for it.
 * `secret.unavailable` if it is missing although something was sealed with it, or is another one.
 */
export async function openSealing(uses: Uses): Promise<Sealing> {
  const { server } = uses.config;
  const check = await keyCheck(uses.catalogue);
  const reference = server.key ?? { from: 'file', path: join(stateDirectory(uses.env), 'server.key') };
  if (server.key === undefined && check === undefined && reference.from === 'file') {
    await writeNewSecret(reference.path, randomBytes(keyBytes).toString('base64'));
  }
  const sealing = sealingWith(await readKey(reference, check !== undefined, uses), placeText(reference));
  if (check === undefined) await rememberKey(uses.catalogue, sealing, await uses.catalogue.nowMs());
  // Also of what somebody else wrote down in the same moment.
  sealing.open((await keyCheck(uses.catalogue)) ?? '', keyCheckName);
  return sealing;
}

async function readKey(reference: SecretReference, isInUse: boolean, uses: Uses): Promise<Secret> {
  const { env, signal, localHost } = uses;
  try {
    return await readSecret(reference, 'the server’s key', { env, signal, run: (command) => localHost().run(command) });
  } catch (cause) {
    if (!isInUse || !hasCode(cause, 'secret.unavailable')) throw cause;
    throw new HoldfastError({
      code: 'secret.unavailable',
      message: `the server’s key is missing (${placeText(reference)}), and secrets in ${uses.catalogue.title} are sealed with it`,
      remedy: 'Put the key back from where you keep a copy: it is never made anew while secrets need it.',
      cause,
    });
  }
}

async function keyCheck({ db }: Catalogue): Promise<string | undefined> {
  const row = await db.selectFrom('sealedSecret').select('sealed').where('name', '=', keyCheckName).executeTakeFirst();
  return row?.sealed;
}

async function rememberKey({ db }: Catalogue, sealing: Sealing, nowMs: number): Promise<void> {
  const sealed = sealing.seal(new Secret(keyCheckText), keyCheckName);
  await db
    .insertInto('sealedSecret')
    .values({ name: keyCheckName, sealed, changedAtMs: nowMs })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute();
}

/** `config.invalid` if it is no key. */
export function sealingWith(secret: Secret, place: string): Sealing {
  const key = Buffer.from(secret.reveal(), 'base64');
  if (key.byteLength !== keyBytes) {
    throw new HoldfastError({
      code: 'config.invalid',
      message: `the server’s key (${place}) is not 32 bytes in base64`,
      remedy: 'Make one with: openssl rand -base64 32',
    });
  }
  return {
    seal(clear, purpose = '') {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(purpose));
      const body = Buffer.concat([cipher.update(clear.reveal(), 'utf8'), cipher.final()]);
      return version + Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64');
    },
    open: (sealed, purpose = '') => new Secret(unseal(key, sealed, { purpose, place })),
  };
}

function unseal(key: Buffer, sealed: string, { purpose, place }: { purpose: string; place: string }): string {
  const bytes = Buffer.from(sealed.slice(version.length), 'base64');
  const tag = bytes.subarray(nonceBytes, nonceBytes + tagBytes);
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes });
    decipher.setAAD(Buffer.from(purpose)).setAuthTag(tag);
    return Buffer.concat([decipher.update(bytes.subarray(nonceBytes + tagBytes)), decipher.final()]).toString('utf8');
  } catch (cause) {
    const subject =
      purpose === keyCheckName ? 'what is sealed in the catalogue' : `the stored secret ${purpose}`.trim();
    throw new HoldfastError({
      code: 'secret.unavailable',
      message: `${subject} cannot be opened with the server’s key (${place}): it was sealed with another one, or is damaged`,
      remedy: 'Put the key back that was used before, or give the secret once more.',
      cause,
    });
  }
}

function placeText(reference: SecretReference): string {
  if (reference.from === 'file') return reference.path;
  if (reference.from === 'env') return `the variable ${reference.name}`;
  return reference.from === 'command' ? `from ${reference.argv[0]}` : 'in the configuration';
}
