/** Repositories that are quick to open, for tests that start many programs on them: the key is cheap to derive, all else is as ever. */

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { Secret } from '../../src/base/secrets.ts';
import { initRepository } from '../../src/repository/index.ts';
import { openStorage } from '../../src/storage/open.ts';
import { storageKinds } from '../../src/storage/registry.ts';

/** For the environment of programs: what Node compiled is kept for all tests, which have homes of their own. */
export const compiled = { NODE_COMPILE_CACHE: join(tmpdir(), 'holdfast-e2e-cache', 'holdfast') };

/** Milliseconds instead of a third of a second for each program that opens it. */
export const cheapKdf = { N: 1024, r: 8, p: 1 };

/** An empty repository at `folder`, which is made: what `holdfast repo init` makes, but for the cost of its key. */
export async function initCheaply(folder: string, password: string): Promise<void> {
  const storage = await openStorage(storageKinds, folder, { create: true });
  const repository = await initRepository({
    storage,
    password: new Secret(password),
    clock: systemClock,
    kdf: cheapKdf,
  });
  await repository.close();
}
