/**
 * What passwords were derived to, kept while the process lives: a server opens the same repositories for every run, and scrypt
 * is made to cost a good part of a second each time. Nothing is kept on a disk, and nothing that the process could not derive
 * again from the passwords it can read anyway.
 */
import { createHash, randomBytes } from 'node:crypto';
import { deriveKey, type KdfParameters, type MasterKey } from './crypto.ts';

/** Keys kept; the one used longest ago goes first. */
const mostKept = 64;
const kept = new Map<string, Promise<MasterKey>>();
/** So that what names a password here says nothing about it elsewhere. */
const pepper = randomBytes(32);

/** As `deriveKey`, once for the same password and parameters. What failed is tried again. */
export async function derivedKey(password: string, kdf: KdfParameters): Promise<MasterKey> {
  const { N, r, p, salt } = kdf;
  const name = createHash('sha256')
    .update(pepper)
    .update(JSON.stringify([N, r, p]));
  const key = name.update(createHash('sha256').update(salt).digest()).update(password).digest('base64');
  const known = kept.get(key) ?? deriveKey(password, kdf);
  kept.delete(key);
  kept.set(key, known);
  for (const oldest of kept.keys()) {
    if (kept.size <= mostKept) break;
    kept.delete(oldest);
  }
  try {
    return await known;
  } catch (error) {
    kept.delete(key);
    throw error;
  }
}
