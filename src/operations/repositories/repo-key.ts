/** The keys of a repository: each is a password of its own for the same data. */
import { z } from 'zod';
import { HoldfastError } from '../../base/errors.ts';
import type { Secret } from '../../base/secrets.ts';
import { expandPath, readSecret, type SecretReference } from '../../config/index.ts';
import { addKey, listKeys, lockRepository, openRepository, removeKey, rewrapKey } from '../../repository/index.ts';
import { type Execution, operation, type RepositoryAccess } from '../operation.ts';
import { openNamed, passwordOf, repositoryEntry, storageOf } from './repository-access.ts';

type Uses = RepositoryAccess & Execution;

const named = z.object({ repository: z.string() });
/** Exactly one of the two: a new password never stands on the command line. */
const newPasswordFields = { newPasswordFile: z.string().optional(), newPasswordEnv: z.string().optional() };
export interface NewPassword {
  readonly newPasswordFile?: string;
  readonly newPasswordEnv?: string;
}
const withPassword = named.extend(newPasswordFields);

const listOutput = z.object({
  keys: z.array(
    z.object({
      id: z.string(),
      created: z.string(),
      username: z.string(),
      hostname: z.string(),
      current: z.boolean(),
      /** scrypt's parameters; absent if the file is damaged. */
      cost: z.object({ N: z.number(), r: z.number(), p: z.number() }).optional(),
      /** True if a key made today would cost more to guess at: rewrap it. */
      outdated: z.boolean(),
    }),
  ),
});
export type KeyList = z.infer<typeof listOutput>;

export const keyList = operation({
  name: 'repo key list',
  permission: 'admin',
  input: named,
  output: listOutput,
  run: async ({ repository }: z.infer<typeof named>, uses: Uses): Promise<KeyList> => {
    await using opened = await openNamed(repository, uses);
    return { keys: (await listKeys(opened.repository)).map((key) => ({ ...key })) };
  },
});

const keyOutput = z.object({ repository: z.string(), key: z.string() });

export const keyAdd = operation({
  name: 'repo key add',
  permission: 'admin',
  input: withPassword,
  output: keyOutput,
  run: async (request: z.infer<typeof withPassword>, uses: Uses) => {
    const password = await newPassword(request, uses);
    await using opened = await openNamed(request.repository, uses);
    await using _lock = await lockRepository(opened.repository, { exclusive: false, signal: uses.signal });
    return { repository: request.repository, key: await addKey(opened.repository, password) };
  },
});

const removeInput = named.extend({ key: z.string().min(1) });

export const keyRemove = operation({
  name: 'repo key remove',
  permission: 'owner',
  input: removeInput,
  output: keyOutput,
  run: async ({ repository, key }: z.infer<typeof removeInput>, uses: Uses) => {
    await using opened = await openNamed(repository, uses);
    await using _lock = await lockRepository(opened.repository, { exclusive: true, signal: uses.signal });
    return { repository, key: await removeKey(opened.repository, key) };
  },
});

const passwdOutput = keyOutput.extend({ removed: z.string() });

const rewrapOutput = keyOutput.extend({
  removed: z.string(),
  /** Keys of other passwords that are cheaper to guess at than a new one: who knows those can rewrap them. */
  outdated: z.array(z.string()),
});

/** The key in use made anew: the same password, a new salt, today's cost. */
export const keyRewrap = operation({
  name: 'repo key rewrap',
  permission: 'owner',
  input: named,
  output: rewrapOutput,
  run: async ({ repository: name }: z.infer<typeof named>, uses: Uses) => {
    const password = await passwordOf(repositoryEntry(name, uses), uses);
    await using opened = await openNamed(name, uses);
    const { repository } = opened;
    await using _lock = await lockRepository(repository, { exclusive: true, signal: uses.signal });
    const { key, removed } = await rewrapKey(repository, password);
    const outdated = (await listKeys(repository)).flatMap((one) => (one.outdated ? [one.id] : []));
    return { repository: name, key, removed, outdated };
  },
});

/** Adds a key for the new password, opens the repository with it, and only then removes the old key. */
export const passwd = operation({
  name: 'repo passwd',
  permission: 'owner',
  input: withPassword,
  output: passwdOutput,
  run: async (request: z.infer<typeof withPassword>, uses: Uses) => {
    const password = await newPassword(request, uses);
    await using opened = await openNamed(request.repository, uses);
    const old = opened.repository.keyId;
    await using _lock = await lockRepository(opened.repository, { exclusive: true, signal: uses.signal });
    const key = await addKey(opened.repository, password);
    const storage = await storageOf(opened.entry, uses, false);
    await using again = await openRepository({ storage, password, clock: uses.clock });
    const removed = again.keyId === old ? key : await removeKey(again, old);
    return { repository: request.repository, key, removed };
  },
});

/** `usage.invalid` unless its place is named. */
export async function newPassword(request: NewPassword, uses: Uses): Promise<Secret> {
  const { newPasswordFile: file, newPasswordEnv: name } = request;
  if ((file === undefined) === (name === undefined)) {
    throw new HoldfastError({
      code: 'usage.invalid',
      message: 'the place of the new password is not named',
      remedy: 'Give --new-password-file FILE or --new-password-env NAME.',
    });
  }
  const reference: SecretReference =
    file === undefined ? { from: 'env', name: name! } : { from: 'file', path: expandPath(file, process.cwd()) };
  return await readSecret(reference, 'the new key', { env: uses.env, run: (command) => uses.localHost().run(command) });
}
