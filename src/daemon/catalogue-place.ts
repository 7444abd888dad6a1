/** Where this server's catalogue is, and how its secrets are read. */
import { join } from 'node:path';
import type { ReadSecret } from '../base/secret-reference.ts';
import { stateDirectory } from '../base/state-directory.ts';
import type { CatalogueAddress } from '../catalogue/open.ts';
import { readSecret } from '../config/index.ts';
import type { Execution, RepositoryAccess } from '../operations/operation.ts';

type Uses = RepositoryAccess & Pick<Execution, 'signal'>;

/** `secret.unavailable`. */
export async function catalogueAddress(uses: Uses): Promise<CatalogueAddress> {
  const setting = uses.config.server.catalogue;
  if (setting === undefined) return { kind: 'sqlite', path: join(stateDirectory(uses.env), 'catalogue.db') };
  if (setting.kind === 'sqlite') return setting;
  const { kind, url, password } = setting;
  if (password === undefined) return { kind, url };
  return { kind, url, password: (await secretReader(uses)(password, 'server: catalogue: password')).reveal() };
}

export function secretReader({ env, signal, localHost }: Uses): ReadSecret {
  return (reference, owner) =>
    readSecret(reference, owner, { env, signal, run: (command) => localHost().run(command) });
}
