/** The provider of identities as the configuration names it. */
import { OidcProvider } from '../auth/index.ts';
import type { Execution, RepositoryAccess } from '../operations/operation.ts';
import { secretReader } from './read-secrets.ts';

export function oidcProvider(uses: RepositoryAccess & Execution): OidcProvider | undefined {
  const { oidc } = uses.config.server;
  if (!oidc) return undefined;
  const { clientSecret, ...rest } = oidc;
  const secret = secretReader(uses);
  const read =
    clientSecret === undefined ? {} : { clientSecret: () => secret(clientSecret, 'server: oidc: clientSecret') };
  return new OidcProvider({ ...rest, ...read }, uses.clock);
}
