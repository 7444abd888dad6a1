/** Keys of an open repository: list, add, remove. */
import { HoldfastError, hasCode } from '../../base/errors.ts';
import type { Secret } from '../../base/secrets.ts';
import { decodeKeyFile } from '../format/key-file.ts';
import { createKernel } from '../kernel/kernel.ts';
import { unpackedName } from '../layout.ts';
import type { Repository } from '../repository.ts';
import { defaultKdf } from './crypto.ts';
import { createKeyFile, type KdfCost, keyFiles } from './key-files.ts';

export interface KeyInfo {
  readonly id: string;
  readonly created: string;
  readonly username: string;
  readonly hostname: string;
  /** True for the key the repository was opened with. */
  readonly current: boolean;
  /** What a guess at its password costs; absent if the file is damaged. */
  readonly cost?: KdfCost;
  /** True if a key made today would cost more to guess at. */
  readonly outdated: boolean;
}

/** Adds a password: a key file for the same master key. Returns its id. */
export async function addKey(repository: Repository, password: Secret): Promise<string> {
  const { storage, clock, masterKey } = repository;
  return await createKeyFile({ storage, clock, masterKey, password, kernel: createKernel() });
}

/** Key files in order of creation. Ones that cannot be decoded are listed with empty facts, not hidden. */
export async function listKeys(repository: Repository): Promise<KeyInfo[]> {
  const keys: KeyInfo[] = [];
  for await (const { id, name } of keyFiles(repository.storage)) {
    const current = id === repository.keyId;
    try {
      const file = decodeKeyFile(await repository.storage.get(name));
      const { created, username, hostname } = file;
      const { N, r, p } = file.kdf;
      const outdated = N * r * p < defaultKdf.N * defaultKdf.r * defaultKdf.p;
      keys.push({ id, created, username, hostname, current, cost: { N, r, p }, outdated });
    } catch (error) {
      if (!hasCode(error, 'repository.damaged', 'repository.unsupported')) throw error;
      keys.push({ id, created: 'damaged', username: '', hostname: '', current, outdated: false });
    }
  }
  return keys.sort((a, b) => (a.created < b.created ? -1 : 1));
}

/**
 * Makes the key in use anew: the same password and master key, a new salt, today's cost. The new file is opened with the
 * password before the old one goes, so that whatever happens in between one of them opens the repository. Needs an
 * exclusive lock. `password` is the one it was opened with.
 */
export async function rewrapKey(
  repository: Repository,
  password: Secret,
): Promise<{ readonly key: string; readonly removed: string }> {
  const key = await addKey(repository, password);
  await repository.storage.delete(unpackedName('keys', repository.keyId));
  return { key, removed: repository.keyId };
}

/** Removes a key; never the one in use, so that somebody can always open the repository. Needs an exclusive lock. */
export async function removeKey(repository: Repository, idPrefix: string): Promise<string> {
  const keys = await listKeys(repository);
  const matching = keys.filter((key) => key.id.startsWith(idPrefix));
  if (matching.length !== 1 || idPrefix === '') {
    throw new HoldfastError({
      code: 'key.unknown',
      message: `${matching.length === 0 ? 'no key' : 'more than one key'} begins with «${idPrefix}»`,
      remedy: 'List the keys with: holdfast repo key list REPOSITORY',
    });
  }
  const [key] = matching;
  if (key.current) {
    throw new HoldfastError({
      code: 'key.last',
      message: `key ${key.id.slice(0, 8)} is the one this command opened the repository with`,
      remedy: 'Add another key first, open the repository with that one, then remove this one.',
    });
  }
  await repository.storage.delete(unpackedName('keys', key.id));
  return key.id;
}
