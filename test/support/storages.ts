/** Storages across a network to real servers, for tests. */
import { readFileSync } from 'node:fs';
import { onTestFinished } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { SecretReference } from '../../src/base/secret-reference.ts';
import { Secret } from '../../src/base/secrets.ts';
import type { Storage, StorageKind, StorageTools } from '../../src/storage/storage.ts';

export function storageTools(signal = new AbortController().signal, env: StorageTools['env'] = {}): StorageTools {
  return {
    clock: systemClock,
    env,
    signal,
    secret: async (reference) => {
      if (reference.from === 'file') return new Secret(readFileSync(reference.path, 'utf8').trimEnd());
      if (reference.from === 'clear') return reference.secret;
      throw new Error('no such secret');
    },
  };
}

export function clearSecret(text: string): SecretReference {
  return { from: 'clear', secret: new Secret(text) };
}

export interface StorageUse<Settings> {
  readonly settings: Partial<Settings>;
  readonly create?: boolean;
  readonly signal?: AbortSignal;
  readonly env?: StorageTools['env'];
  /** Default: the system's. */
  readonly clock?: StorageTools['clock'];
}

/** As the configuration would. Who opens it closes it. */
export async function openAt<Settings>(
  kind: StorageKind<Settings>,
  url: string,
  { settings, create = false, signal, env, clock = systemClock }: StorageUse<Settings>,
): Promise<Storage> {
  const checked = kind.settings ? kind.settings.parse(settings) : (settings as Settings);
  return await kind.open(url, { create, settings: checked, tools: { ...storageTools(signal, env), clock } });
}

/** Closed when the test is over. */
export async function openForTest<Settings>(
  kind: StorageKind<Settings>,
  url: string,
  use: StorageUse<Settings>,
): Promise<Storage> {
  const storage = await openAt(kind, url, use);
  onTestFinished(() => storage.close());
  return storage;
}
