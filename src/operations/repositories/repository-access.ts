/** Opens repositories by the name in the configuration, or by their address. */
import { join } from 'node:path';
import { cacheDirectory } from '../../base/cache-directory.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { ReadSecret } from '../../base/secret-reference.ts';
import type { Secret } from '../../base/secrets.ts';
import { expandPath, type RepositoryEntry, readSecret, suggestion } from '../../config/index.ts';
import { defaultWorkspace } from '../../model/principal.ts';
import { initRepository, openRepository, type Repository } from '../../repository/index.ts';
import { cachedStorage } from '../../storage/cached.ts';
import { limitedStorage } from '../../storage/limited.ts';
import { openStorage } from '../../storage/open.ts';
import type { Storage } from '../../storage/storage.ts';
import { placeOf } from '../configuration/secret-needs.ts';
import type { Execution, RepositoryAccess } from '../operation.ts';
import { refuseEmptyMountPoint } from '../setup/empty-mount-point.ts';
import { isAbsence } from './absence.ts';

export interface NamedRepository extends AsyncDisposable {
  readonly name: string;
  readonly entry: RepositoryEntry;
  readonly repository: Repository;
}

type Place = Pick<RepositoryEntry, 'url' | 'settings' | 'limits'>;
type Uses = RepositoryAccess &
  Pick<Execution, 'clock' | 'signal'> & {
    /** Read everything from the storage itself: for who wants to know whether it is sound there. */
    readonly uncached?: boolean;
  };

/**
 * The entry of a repository. What is not a declared name but looks like an address (it has a `/` or `:`) is a repository of
 * its own, whose password comes from `HOLDFAST_PASSWORD_FILE` or `HOLDFAST_PASSWORD`. `config.unknown-name`.
 */
export function repositoryEntry(
  name: string,
  { config, env }: Pick<RepositoryAccess, 'config' | 'env'>,
): RepositoryEntry {
  const declared = config.repositories.get(name);
  if (declared) return declared;
  if (/[/:]/.test(name)) {
    const isPath = !/^[a-z][a-z0-9+.-]*:/i.test(name);
    const file = env.HOLDFAST_PASSWORD_FILE;
    return {
      name,
      url: isPath ? expandPath(name, process.cwd()) : name,
      password: file ? { from: 'file', path: file } : { from: 'env', name: 'HOLDFAST_PASSWORD' },
      workspace: defaultWorkspace,
    };
  }
  throw new HoldfastError({
    code: 'config.unknown-name',
    message: `there is no repository «${name}» in ${config.file}`,
    remedy: suggestion(name, [...config.repositories.keys()], 'repository'),
  });
}

/** Opens; disposing closes it. Errors of storage, secret and repository. */
export async function openNamed(name: string, uses: Uses): Promise<NamedRepository> {
  return await openEntry(repositoryEntry(name, uses), uses);
}

/** The same for an entry that is declared nowhere. */
export async function openEntry(entry: RepositoryEntry, uses: Uses): Promise<NamedRepository> {
  const { name } = entry;
  const password = await passwordOf(entry, uses);
  const storage = await storageOf(entry, uses, false).catch((error: unknown) => {
    throw helped(error, entry);
  });
  try {
    const opened = await openRepository({ storage, password, clock: uses.clock });
    const repository = withCache(opened, entry, uses);
    return { name, entry, repository, [Symbol.asyncDispose]: () => repository.close() };
  } catch (error) {
    await storage.close();
    throw helped(error, entry);
  }
}

/** The same error with what to do about this entry, where storage and repository only know an address. */
function helped(error: unknown, { name, password }: RepositoryEntry): unknown {
  if (!(error instanceof HoldfastError)) return error;
  const remedy = remedyFor(error, /[/:]/.test(name) ? 'ADDRESS' : name, password);
  if (remedy === undefined) return error;
  const { code, message, retry, context, cause } = error;
  return new HoldfastError({ code, message, remedy, retry, context, cause });
}

function remedyFor(error: HoldfastError, name: string, password: RepositoryEntry['password']): string | undefined {
  switch (error.code) {
    case 'repository.missing':
    case 'storage.not-found':
      return `If it was not made yet: holdfast repo init ${name}. Otherwise connect and mount the disk or NAS that holds it, or correct the address; nothing was written there.`;
    case 'repository.wrong-password':
      if (error.context.keys === 0) return undefined; // no password would open it
      return password.from === 'clear' ? undefined : `${error.remedy} Here it comes from ${passwordPlace(password)}.`;
    default:
      return undefined;
  }
}

function passwordPlace(reference: RepositoryEntry['password']): string {
  const kinds = {
    file: 'the file',
    env: 'the environment variable',
    command: 'the program',
    stored: 'the secret stored as',
    container: 'the container’s variable',
    clear: 'the configuration',
  };
  return `${kinds[reference.from]} ${placeOf(reference)}`;
}

/** A gibibyte is the index of some ten million blobs. */
const mostCachedBytes = 1 << 30;

/** Index and snapshot files of a repository that is not on this machine are kept here once they were read. */
function withCache(repository: Repository, { url }: Place, { env, uncached = false }: Uses): Repository {
  if (uncached || !/^[a-z][a-z0-9+.-]*:/i.test(url) || /^(?:file|local):/i.test(url)) return repository;
  const caches = cacheDirectory(env);
  if (caches === undefined) return repository;
  const folder = join(caches, repository.config.id);
  return repository.on(cachedStorage(repository.storage, { folder, mostBytes: mostCachedBytes }));
}

/** Opens, or reports that it is away and returns nothing: for one that may be, and that nobody asked for by name. */
export async function openUnlessAway(
  name: string,
  uses: Uses & Pick<Execution, 'report'>,
): Promise<NamedRepository | undefined> {
  try {
    return await openNamed(name, uses);
  } catch (error) {
    if (uses.config.repositories.get(name)?.mayBeAwayMs === undefined || !isAbsence(error)) throw error;
    uses.report({ type: 'note', message: `the repository ${name} is away: nothing is done in it now` });
    return undefined;
  }
}

/** Two at once: deriving a key from a password takes a moment. Disposing closes both. */
export async function openBoth(
  names: readonly [string, string],
  uses: Uses,
): Promise<AsyncDisposable & { readonly first: NamedRepository; readonly second: NamedRepository }> {
  const outcomes = await Promise.allSettled(names.map((name) => openNamed(name, uses)));
  const opened = outcomes.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const close = async (): Promise<void> => {
    for (const one of opened) await one[Symbol.asyncDispose]();
  };
  const failed = outcomes.find((one) => one.status === 'rejected');
  if (failed) {
    await close();
    throw failed.reason;
  }
  return { first: opened[0], second: opened[1], [Symbol.asyncDispose]: close };
}

/** Makes a new repository where the entry says, one that cuts files as `like` does if that is given. `repository.exists`. */
export async function initNamed(
  name: string,
  uses: Uses & Pick<Execution, 'report'>,
  like?: string,
): Promise<NamedRepository> {
  const entry = repositoryEntry(name, uses);
  await refuseEmptyMountPoint(entry, uses);
  const password = await passwordOf(entry, uses);
  const polynomial = like === undefined ? undefined : await polynomialOf(like, uses);
  const storage = await storageOf(entry, uses, true);
  try {
    const repository = await initRepository({ storage, password, clock: uses.clock, polynomial });
    return { name, entry, repository, [Symbol.asyncDispose]: () => repository.close() };
  } catch (error) {
    await storage.close();
    throw error;
  }
}

/** `secret.unavailable`: a password is never made anew for a repository. */
export async function passwordOf(entry: RepositoryEntry, uses: Uses): Promise<Secret> {
  const { env, signal, localHost } = uses;
  return await readSecret(entry.password, `repository ${entry.name}`, {
    env,
    signal,
    run: (it) => localHost().run(it),
  });
}

/** The storage of an entry, not yet a repository. */
export async function storageOf(entry: Place, uses: Uses, create: boolean): Promise<Storage> {
  const { clock, env, signal, localHost } = uses;
  const secret: ReadSecret = (reference, owner) =>
    readSecret(reference, owner, { env, signal, run: (command) => localHost().run(command) });
  const { url, settings, limits } = entry;
  const storage = await openStorage(uses.storageKinds, url, {
    create,
    settings,
    tools: { clock, env, signal, secret },
  });
  return limits ? limitedStorage(storage, limits, clock) : storage;
}

async function polynomialOf(name: string, uses: Uses): Promise<bigint> {
  await using opened = await openNamed(name, uses);
  return opened.repository.config.chunkerPolynomial;
}
