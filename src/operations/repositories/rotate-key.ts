/**
 * A new password wherever the old one opens something: in every repository that takes it from the same place, and in that
 * place. In an order in which, wherever it stops, the place holds a password that opens; running it again finishes it.
 */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import { Secret } from '../../base/secrets.ts';
import type { RepositoryEntry, SecretReference } from '../../config/index.ts';
import { addKey, listKeys, lockRepository, removeKey } from '../../repository/index.ts';
import { type Execution, operation, type RepositoryAccess } from '../operation.ts';
import { PasswordFile } from './password-file.ts';
import { type NewPassword, newPassword } from './repo-key.ts';
import { openEntry, passwordOf, repositoryEntry } from './repository-access.ts';

const lockWaitMs = 60_000;

const input = z.object({
  repository: z.string(),
  newPasswordFile: z.string().optional(),
  newPasswordEnv: z.string().optional(),
  /** Also remove the keys of all other passwords. */
  allKeys: z.boolean().default(false),
});
const output = z.object({
  repositories: z.array(z.object({ repository: z.string(), key: z.string(), removed: z.array(z.string()) })),
  /** The file that holds the new password now; absent where the old one does not come from a file. */
  passwordFile: z.string().optional(),
  /** True if an interrupted rotation was brought to its end instead of beginning another. */
  resumed: z.boolean(),
});
export type RotateOutput = z.infer<typeof output>;

type Request = z.infer<typeof input>;
type Uses = RepositoryAccess & Execution;

interface Change {
  readonly members: readonly RepositoryEntry[];
  readonly old: Secret;
  readonly fresh: Secret;
  readonly allKeys: boolean;
}

export const keyRotate = operation({
  name: 'repo key rotate',
  permission: 'owner',
  input,
  output,
  run: async (request: Request, uses: Uses): Promise<RotateOutput> => {
    const entry = repositoryEntry(request.repository, uses);
    const members = membersOf(entry, uses);
    const { password: reference } = entry;
    if (reference.from === 'file')
      return await rotateFile(await PasswordFile.at(reference.path), members, request, uses);
    const old = await passwordOf(entry, uses);
    const change = { members, old, fresh: await newPassword(request, uses), allKeys: request.allKeys };
    requireOther(change);
    await addEverywhere(change, uses);
    return { repositories: await removeEverywhere(change, uses), resumed: false };
  },
});

/** Whoever takes the password from the same place would be locked out by a change of it alone. */
function membersOf(entry: RepositoryEntry, { config }: Uses): RepositoryEntry[] {
  const place = placeKey(entry.password);
  const others = [...config.repositories.values()].filter(
    (one) => one.name !== entry.name && place !== undefined && placeKey(one.password) === place,
  );
  return [entry, ...others];
}

function placeKey(reference: SecretReference): string | undefined {
  return reference.from === 'clear' ? undefined : JSON.stringify(reference);
}

async function rotateFile(
  file: PasswordFile,
  members: readonly RepositoryEntry[],
  request: Request,
  uses: Uses,
): Promise<RotateOutput> {
  const { allKeys } = request;
  const current = await file.current();
  const retired = await file.retired();
  if (retired) {
    const repositories = await removeEverywhere({ members, old: retired, fresh: current, allKeys }, uses);
    await file.finish();
    return { repositories, passwordFile: file.path, resumed: true };
  }
  const pending = await file.pending();
  const fresh = pending ?? (await chosenPassword(request, uses));
  const change = { members, old: current, fresh, allKeys };
  requireOther(change);
  if (!pending) await file.prepare(fresh);
  await addEverywhere(change, uses);
  await file.swap();
  const repositories = await removeEverywhere(change, uses);
  await file.finish();
  return { repositories, passwordFile: file.path, resumed: pending !== undefined };
}

/** 256 random bits unless one was named. */
async function chosenPassword(request: NewPassword, uses: Uses): Promise<Secret> {
  const isNamed = request.newPasswordFile !== undefined || request.newPasswordEnv !== undefined;
  return isNamed ? await newPassword(request, uses) : new Secret(randomBytes(32).toString('base64url'));
}

function requireOther({ old, fresh }: Change): void {
  if (old.reveal() !== fresh.reveal()) return;
  throw new HoldfastError({
    code: 'usage.invalid',
    message: 'the new password is the one in use',
    remedy: 'Choose another one. To make the key anew for the same password: holdfast repo key rewrap',
  });
}

/** Each repository opens with the new password when this resolves; nothing was taken away. */
async function addEverywhere({ members, old, fresh }: Change, uses: Uses): Promise<void> {
  for (const entry of members) {
    uses.report({ type: 'stage', stage: 'adding the new password', subject: entry.name });
    if (await opens(entry, fresh, uses)) continue;
    {
      await using opened = await openWith(entry, old, uses);
      const { repository } = opened;
      await using _lock = await lockRepository(repository, {
        exclusive: false,
        waitMs: lockWaitMs,
        signal: uses.signal,
      });
      await addKey(repository, fresh);
    }
    if (await opens(entry, fresh, uses)) continue;
    throw new HoldfastError({
      code: 'repository.self-check',
      message: `the repository ${entry.name} does not open with the key that was just added to it`,
      remedy: 'The old password was kept. Look whether the storage keeps what it is given: holdfast storage check',
    });
  }
}

/** Opened with the new password, so that the key of that one cannot be among those that go. */
async function removeEverywhere(change: Change, uses: Uses): Promise<RotateOutput['repositories']> {
  const done: RotateOutput['repositories'] = [];
  for (const entry of change.members) {
    uses.report({ type: 'stage', stage: 'removing the old password', subject: entry.name });
    await using opened = await openWith(entry, change.fresh, uses);
    const { repository } = opened;
    await using _lock = await lockRepository(repository, { exclusive: true, waitMs: lockWaitMs, signal: uses.signal });
    const removed: string[] = [];
    for (const id of await keysToRemove(entry, repository, change, uses)) removed.push(await removeKey(repository, id));
    done.push({ repository: entry.name, key: repository.keyId, removed });
  }
  return done;
}

async function keysToRemove(
  entry: RepositoryEntry,
  repository: Parameters<typeof listKeys>[0],
  { old, allKeys }: Change,
  uses: Uses,
): Promise<string[]> {
  if (allKeys) return (await listKeys(repository)).flatMap((key) => (key.current ? [] : [key.id]));
  const id = await keyOf(entry, old, uses);
  return id === undefined || id === repository.keyId ? [] : [id];
}

async function opens(entry: RepositoryEntry, password: Secret, uses: Uses): Promise<boolean> {
  return (await keyOf(entry, password, uses)) !== undefined;
}

/** The id of the key that opens with the password. */
async function keyOf(entry: RepositoryEntry, password: Secret, uses: Uses): Promise<string | undefined> {
  try {
    await using opened = await openWith(entry, password, uses);
    return opened.repository.keyId;
  } catch (error) {
    if (hasCode(error, 'repository.wrong-password')) return undefined;
    throw error;
  }
}

async function openWith(entry: RepositoryEntry, secret: Secret, uses: Uses): ReturnType<typeof openEntry> {
  return await openEntry({ ...entry, password: { from: 'clear', secret } }, uses);
}
