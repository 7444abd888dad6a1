/** The catalogue this configuration names, for whoever works with it without a server. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { currentUser } from '../base/current-user.ts';
import { stateDirectory } from '../base/state-directory.ts';
import { type CatalogueAddress, openCatalogue } from '../catalogue/open.ts';
import { readSecret } from '../config/index.ts';
import { localPrincipal } from '../model/principal.ts';
import type { CatalogueAccess, Execution, RepositoryAccess } from './operation.ts';

type Uses = RepositoryAccess & Pick<Execution, 'signal' | 'clock'>;

/** Absent `server: catalogue:` it is `catalogue.db` in the state directory. `secret.unavailable`. */
export async function catalogueAddress({ config, env, signal, localHost }: Uses): Promise<CatalogueAddress> {
  const setting = config.server.catalogue;
  if (setting === undefined) return { kind: 'sqlite', path: join(stateDirectory(env), 'catalogue.db') };
  if (setting.kind === 'sqlite') return setting;
  const { kind, url, password } = setting;
  if (password === undefined) return { kind, url };
  const places = { env, signal, run: localHost().run };
  return { kind, url, password: (await readSecret(password, 'server: catalogue: password', places)).reveal() };
}

/** Opens it as the person at this machine's command line. `catalogue.unreachable`, `catalogue.newer`. */
export async function openLocalCatalogue(uses: Uses): Promise<CatalogueAccess & AsyncDisposable> {
  const catalogue = await openCatalogue(await catalogueAddress(uses), () => uses.clock.nowMs());
  const principal = localPrincipal(currentUser().username);
  return { catalogue, principal, [Symbol.asyncDispose]: () => catalogue[Symbol.asyncDispose]() };
}

/** The same, but none is made: `undefined` where there is none yet. */
export async function findLocalCatalogue(uses: Uses): Promise<(CatalogueAccess & AsyncDisposable) | undefined> {
  const address = await catalogueAddress(uses);
  if (address.kind === 'sqlite' && !existsSync(address.path)) return undefined;
  return await openLocalCatalogue(uses);
}
