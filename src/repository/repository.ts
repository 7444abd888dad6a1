/**
 * An open repository: its storage, its keys and what is known of its blobs. Everything else in this folder is functions
 * over it. Opening reads `config` and the key files; `loadIndex` reads the index when it is first needed.
 */
import { randomBytes } from 'node:crypto';
import { type Clock, systemClock } from '../base/clock.ts';
import { HoldfastError, hasCode } from '../base/errors.ts';
import type { Secret } from '../base/secrets.ts';
import type { Storage } from '../storage/storage.ts';
import type { BlobIndex } from './blob-index/blob-index.ts';
import { randomPolynomial } from './cutting/chunker.ts';
import { decodeConfig, encodeConfig, type RepositoryConfig } from './format/config.ts';
import { createKernel } from './kernel/kernel.ts';
import { configName } from './layout.ts';
import { readAgainIfDamaged } from './reading/read-again.ts';
import { generateMasterKey, type MasterKey, Sealer } from './sealing/crypto.ts';
import { createKeyFile, type KdfCost, openWithPassword } from './sealing/key-files.ts';

export class Repository implements AsyncDisposable {
  readonly storage: Storage;
  readonly config: RepositoryConfig;
  readonly masterKey: MasterKey;
  /** Id of the key file that opened it. */
  readonly keyId: string;
  readonly sealer: Sealer;
  readonly clock: Clock;
  /** Where every blob lies, once `loadIndex` has read it. */
  blobIndex: Promise<BlobIndex> | undefined;

  constructor(parts: {
    storage: Storage;
    config: RepositoryConfig;
    masterKey: MasterKey;
    keyId: string;
    sealer: Sealer;
    clock: Clock;
  }) {
    this.storage = parts.storage;
    this.config = parts.config;
    this.masterKey = parts.masterKey;
    this.keyId = parts.keyId;
    this.sealer = parts.sealer;
    this.clock = parts.clock;
  }

  /** The same repository through another storage; nothing that was read so far is known to it. */
  on(storage: Storage): Repository {
    const { config, masterKey, keyId, sealer, clock } = this;
    return new Repository({ storage, config, masterKey, keyId, sealer, clock });
  }

  async close(): Promise<void> {
    await this.storage.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

export interface OpenOptions {
  readonly storage: Storage;
  readonly password: Secret;
  readonly clock?: Clock;
}

/** Opens an existing repository. `repository.missing`, `repository.wrong-password`, `repository.unsupported`. */
export async function openRepository({ storage, password, clock = systemClock }: OpenOptions): Promise<Repository> {
  const kernel = createKernel();
  // Side by side: across a network each answer takes a while. A missing repository is told by its config.
  const opening = openWithPassword(storage, password, kernel);
  opening.catch(() => {});
  const sealedConfig = await readConfigFile(storage);
  const { masterKey, keyId } = await opening;
  const sealer = new Sealer(masterKey, kernel);
  const config = await decodedConfig(storage, sealer, sealedConfig);
  return new Repository({ storage, config, masterKey, keyId, sealer, clock });
}

/** Makes a new repository (format version 2). `repository.exists` if there is one: its keys are never replaced. */
export async function initRepository(
  options: OpenOptions & { readonly polynomial?: bigint; readonly kdf?: KdfCost },
): Promise<Repository> {
  const { storage, password, clock = systemClock } = options;
  if ((await storage.stat(configName)) !== undefined) throw repositoryExists(storage);
  for (const folder of ['keys', 'snapshots', 'index', 'data']) {
    for await (const { name } of storage.list(folder)) throw partsOfRepository(storage, name);
  }
  const kernel = createKernel();
  const masterKey = generateMasterKey();
  const sealer = new Sealer(masterKey, kernel);
  const config: RepositoryConfig = {
    version: 2,
    id: randomBytes(32).toString('hex'),
    chunkerPolynomial: options.polynomial ?? randomPolynomial(),
  };
  const keyId = await createKeyFile({ storage, clock, kernel, masterKey, password, kdf: options.kdf });
  try {
    // The config is what makes it a repository: written last, and never over another one.
    await storage.put(configName, [sealer.seal(encodeConfig(config))], { mustNotExist: true });
  } catch (error) {
    if (hasCode(error, 'storage.exists')) {
      await storage.delete(`keys/${keyId}`);
      throw repositoryExists(storage);
    }
    throw error;
  }
  return new Repository({ storage, config, masterKey, keyId, sealer, clock });
}

/** The config has no hash for a name, so whether it came as it was stored is known only now. */
async function decodedConfig(storage: Storage, sealer: Sealer, sealed: Uint8Array): Promise<RepositoryConfig> {
  let read: Uint8Array | undefined = sealed;
  return await readAgainIfDamaged(async () => {
    const bytes = read ?? (await readConfigFile(storage));
    read = undefined;
    return decodeConfig(sealer.open(bytes));
  });
}

async function readConfigFile(storage: Storage): Promise<Uint8Array> {
  try {
    return await storage.get(configName);
  } catch (error) {
    if (!hasCode(error, 'storage.not-found')) throw error;
    throw new HoldfastError({
      code: 'repository.missing',
      message: `there is no repository at ${storage.location}`,
      remedy: 'Check the address (is the disk or share mounted?). To make a new repository: holdfast repo init NAME.',
      cause: error,
    });
  }
}

/** Without its config: lost, or taken away by mistake. A new key over it would make all of it unreadable for good. */
function partsOfRepository(storage: Storage, name: string): HoldfastError {
  return new HoldfastError({
    code: 'repository.exists',
    message: `there are parts of a repository at ${storage.location} (${name}), but no ${configName}`,
    remedy: `Put the file ${configName} back from a copy of the repository: nothing in it can be read without it. For a new repository choose another place.`,
  });
}

function repositoryExists(storage: Storage): HoldfastError {
  return new HoldfastError({
    code: 'repository.exists',
    message: `there is a repository at ${storage.location} already`,
    remedy: 'Use it as it is, or choose another place. Holdfast never replaces the keys of a repository.',
  });
}
