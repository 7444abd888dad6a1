/** Key files: each seals the same master key under a password of its own (restic design.rst, "Keys, Encryption and MAC"). */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { type Clock, formatInstant } from '../../base/clock.ts';
import { currentUser } from '../../base/current-user.ts';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import type { Secret } from '../../base/secrets.ts';
import type { Storage } from '../../storage/storage.ts';
import { decodeKeyFile, decodeMasterKey, encodeKeyFile, encodeMasterKey, type KeyFile } from '../format/key-file.ts';
import { sha256Hex } from '../ids.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { idInName, unpackedName } from '../layout.ts';
import { defaultKdf, deriveKey, type KdfParameters, type MasterKey, Sealer } from './crypto.ts';
import { derivedKey } from './derived-keys.ts';

/** scrypt's parameters without the salt. */
export type KdfCost = Omit<KdfParameters, 'salt'>;

/** Tries every key file with the password. A damaged key file is passed over as long as another one opens. */
export async function openWithPassword(
  storage: Storage,
  password: Secret,
  kernel: Kernel,
): Promise<{ masterKey: MasterKey; keyId: string }> {
  let tried = 0;
  let damage: unknown;
  for await (const { id, name } of keyFiles(storage)) {
    tried++;
    try {
      const { bytes, sound } = await readKeyFile(storage, { id, name });
      const masterKey = await unlockKeyFile(decodeKeyFile(bytes), password, kernel, derivedKey);
      if (masterKey) return { masterKey, keyId: id };
      if (!sound) damage = alteredKey(name, storage);
    } catch (error) {
      if (!hasCode(error, 'repository.damaged', 'repository.unsupported', 'storage.not-found')) throw error;
      damage = error;
    }
  }
  if (damage !== undefined && tried === 1) throw damage;
  throw new HoldfastError({
    code: 'repository.wrong-password',
    message:
      tried === 0
        ? `the repository at ${storage.location} has no key files`
        : `none of the ${tried} key(s) of the repository at ${storage.location} opens with this password`,
    remedy:
      tried === 0
        ? 'Restore the folder keys/ from a copy of the repository: without a key nothing in it can be read.'
        : 'Check the password, and the file or variable it is read from.',
    context: { keys: tried },
    cause: damage,
  });
}

/** Read twice if the bytes are not those the file is named after; it may open all the same. */
async function readKeyFile(
  storage: Storage,
  { id, name }: { readonly id: string; readonly name: string },
): Promise<{ bytes: Uint8Array; sound: boolean }> {
  const first = await storage.get(name);
  if (sha256Hex(first) === id) return { bytes: first, sound: true };
  const bytes = await storage.get(name);
  return { bytes, sound: sha256Hex(bytes) === id };
}

function alteredKey(name: string, storage: Storage): HoldfastError {
  return new HoldfastError({
    code: 'repository.damaged',
    message: `${name} in ${storage.location} does not have the content its name stands for, and does not open with this password`,
    remedy: 'Restore this file from another copy of the repository if there is one.',
  });
}

/** Makes a key file for a master key; returns its id. The file is opened again with the password before this resolves. */
export async function createKeyFile(parts: {
  storage: Storage;
  clock: Clock;
  masterKey: MasterKey;
  password: Secret;
  kernel: Kernel;
  /** How dear each guess at the password is; scrypt's defaults otherwise. */
  kdf?: KdfCost;
}): Promise<string> {
  const { storage, clock, masterKey, password, kernel } = parts;
  if (password.reveal() === '') {
    throw new HoldfastError({
      code: 'usage.invalid',
      message: 'an empty password is no password',
      remedy: 'Choose one, for example with: openssl rand -base64 32',
    });
  }
  const kdf = { ...(parts.kdf ?? defaultKdf), salt: new Uint8Array(randomBytes(64)) };
  const key = await deriveKey(password.reveal(), kdf);
  const bytes = encodeKeyFile({
    created: formatInstant(clock.nowMs()),
    username: currentUser().username,
    hostname: hostname(),
    kdf,
    sealedMasterKey: new Sealer(key, kernel).seal(encodeMasterKey(masterKey)),
  });
  const id = sha256Hex(bytes);
  await storage.put(unpackedName('keys', id), [bytes], { mustNotExist: true });
  const readBack = await unlockKeyFile(decodeKeyFile(await storage.get(unpackedName('keys', id))), password, kernel);
  if (!readBack) {
    throw new HoldfastError({
      code: 'repository.self-check',
      message: 'the new key does not open with its own password',
      remedy: 'Test this machine’s memory, then try again. The other keys were not touched.',
    });
  }
  return id;
}

/** Names and ids of all key files. */
export async function* keyFiles(storage: Storage): AsyncIterable<{ id: string; name: string }> {
  for await (const object of storage.list('keys')) {
    const id = idInName(object.name);
    if (id !== undefined) yield { id, name: object.name };
  }
}

/** `undefined` if the password is not this key's. */
async function unlockKeyFile(
  file: KeyFile,
  password: Secret,
  kernel: Kernel,
  derive = deriveKey,
): Promise<MasterKey | undefined> {
  const key = await derive(password.reveal(), file.kdf);
  let opened: Uint8Array;
  try {
    opened = new Sealer(key, kernel).open(file.sealedMasterKey);
  } catch (error) {
    if (hasCode(error, 'repository.damaged')) return undefined;
    throw error;
  }
  return decodeMasterKey(opened);
}
