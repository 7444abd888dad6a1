/** The configuration a server works with, kept current, and what follows from it: who may do what, and the provider of identities. */
import { OidcProvider, reconcileAccounts } from '../auth/index.ts';
import type { Log } from '../base/log.ts';
import type { Catalogue } from '../catalogue/open.ts';
import type { Config } from '../config/index.ts';
import { ConfigStore } from '../operations/configuration/config-store.ts';
import { readContainerLabels } from '../operations/configuration/labels/read-containers.ts';
import { withContainerSecrets } from '../operations/configuration/labels/with-labels.ts';
import type { Execution, SourceAccess } from '../operations/operation.ts';
import { secretReader } from './read-secrets.ts';

interface Parts {
  readonly uses: SourceAccess & Execution;
  readonly catalogue: Catalogue;
  readonly log: Log;
}

export interface LiveConfiguration {
  readonly store: ConfigStore;
  /** The same object until the configuration changes. */
  access(): SourceAccess;
  oidc(): OidcProvider | undefined;
}

/** The configuration as it is now, for operations. `isQuiet`: somebody else tells what changed. */
export async function openAccess(
  { uses, catalogue, log }: Parts,
  isQuiet = false,
): Promise<Pick<LiveConfiguration, 'store' | 'access'>> {
  const { drivers, storageKinds, hostKinds, channelKinds, clock, signal, env, localHost, openContainers } = uses;
  const known = withContainerSecrets({ drivers, storageKinds, hostKinds, channelKinds }, uses);
  const readLabels = () => readContainerLabels(uses);
  const about = { file: uses.config.file, parsed: uses.config, known, catalogue, log, isQuiet, readLabels };
  const store = await ConfigStore.open({ ...about, clock, signal, env, localHost });
  const accessTo = (config: Config): SourceAccess => ({ ...known, config, env, localHost, openContainers });
  let access = accessTo(store.config);
  store.onReload(({ outcome }, config) => {
    if (outcome === 'changed') access = accessTo(config);
  });
  return { store, access: () => access };
}

export async function openConfiguration(parts: Parts): Promise<LiveConfiguration> {
  const { uses, catalogue, log } = parts;
  const { store, access } = await openAccess(parts);
  let provider = providerOf(access(), uses);
  const people = async (config: Config): Promise<void> => {
    const declared = { users: config.users.values(), workspaces: config.workspaces.values() };
    const { warnings } = await reconcileAccounts(declared, { catalogue, clock: uses.clock });
    for (const warning of warnings) log.warn({ warning }, 'users of the configuration');
  };
  await people(store.config);
  store.onReload(({ outcome }, config) => {
    if (outcome !== 'changed') return;
    provider = providerOf(access(), uses);
    people(config).catch((error: unknown) =>
      log.error({ err: error }, 'users of the configuration cannot be brought in'),
    );
  });
  return { store, access, oidc: () => provider };
}

function providerOf(access: SourceAccess, { signal, clock }: Execution): OidcProvider | undefined {
  const { oidc } = access.config.server;
  if (!oidc) return undefined;
  const { clientSecret, ...rest } = oidc;
  const secret = secretReader({ ...access, signal });
  const read =
    clientSecret === undefined ? {} : { clientSecret: () => secret(clientSecret, 'server: oidc: clientSecret') };
  return new OidcProvider({ ...rest, ...read }, clock);
}
