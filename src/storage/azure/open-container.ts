/** Opens a container of an account. */
import { type Clock, formatHttpDate } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';
import { Secret } from '../../base/secrets.ts';
import { HttpConnections } from '../../protocols/http/exchange.ts';
import { trustedCertificates } from '../http-faults.ts';
import { type Authorized, escapeText, HttpService, type ServiceRequest } from '../http-service.ts';
import type { OpenOptions, Storage } from '../storage.ts';
import { refusal } from './azure-errors.ts';
import { AzureStorage } from './azure-storage.ts';
import { parseAzureUrl } from './location.ts';
import type { AzureSettings } from './settings.ts';
import { authorizationOf } from './shared-key.ts';

type Tools = OpenOptions<AzureSettings>['tools'];

/** Of the service; the first with blobs of 5,000 MiB in one request is 2019-12-12. */
const version = '2021-12-02';

/** Asks nobody, unless the container is to be made. */
export async function openContainer(
  url: string,
  { create, settings, tools }: OpenOptions<AzureSettings>,
): Promise<Storage> {
  const { container, prefix } = parseAzureUrl(url);
  const { clock, signal, env } = tools;
  const account = settings.account ?? env.AZURE_ACCOUNT_NAME;
  if (account === undefined || !/^[a-z0-9]{3,24}$/.test(account)) throw noAccount(account);
  const endpoint = new URL(settings.endpoint ?? `https://${account}.blob.${suffixOf(settings, env)}`);
  const connections = new HttpConnections({
    maxConnections: settings.connections,
    silenceMs: settings.timeoutSeconds * 1000,
    ca: await trustedCertificates(settings.ca, 'azure'),
    env,
  });
  const service = new HttpService({
    endpoint: { protocol: endpoint.protocol === 'http:' ? 'http:' : 'https:', host: endpoint.host },
    location: url,
    settings: 'azure',
    ...{ connections, clock, signal, refusal },
    authorize: await authorizeWith(account, settings, tools),
  });
  const path = `${endpoint.pathname.replace(/\/+$/, '')}/${escapeText(container)}`;
  const { accessTier } = settings;
  const storage = new AzureStorage({ service, path, prefix, accessTier, nowMs: () => clock.nowMs() });
  try {
    if (create) await storage.create();
    return storage;
  } catch (error) {
    await storage.close();
    throw error;
  }
}

function suffixOf({ endpointSuffix }: AzureSettings, env: Tools['env']): string {
  return endpointSuffix ?? (env.AZURE_ENDPOINT_SUFFIX || 'core.windows.net');
}

/** The settings before the environment, a key before a signature. */
async function authorizeWith(account: string, { accountKey, sas }: AzureSettings, { secret, env, clock }: Tools) {
  const fromEnv = accountKey === undefined && sas === undefined;
  const key = accountKey
    ? await secret(accountKey, 'azure.accountKey')
    : fromEnv && env.AZURE_ACCOUNT_KEY
      ? new Secret(env.AZURE_ACCOUNT_KEY)
      : undefined;
  if (key) return async (request: ServiceRequest): Promise<Authorized> => signed(request, { account, key }, clock);
  const signature = sas
    ? await secret(sas, 'azure.sas')
    : env.AZURE_ACCOUNT_SAS
      ? new Secret(env.AZURE_ACCOUNT_SAS)
      : undefined;
  if (!signature) throw noKey();
  const query = signature.reveal().replace(/^\?/, '');
  return async (): Promise<Authorized> => ({ query, headers: { 'x-ms-version': version } });
}

function signed(request: ServiceRequest, key: { account: string; key: Secret }, clock: Clock): Authorized {
  const own = { 'x-ms-version': version, 'x-ms-date': formatHttpDate(clock.nowMs()) };
  const authorization = authorizationOf(key, request, { ...request.headers, ...own });
  return { headers: { ...own, authorization } };
}

function noAccount(given: string | undefined): HoldfastError {
  return new HoldfastError({
    code: 'config.invalid',
    message:
      given === undefined ? 'there is no storage account for azure' : `${JSON.stringify(given)} is no storage account`,
    remedy: 'Give azure.account (3 to 24 lower-case letters and digits), or set AZURE_ACCOUNT_NAME.',
  });
}

function noKey(): HoldfastError {
  return new HoldfastError({
    code: 'secret.unavailable',
    message: 'there is no key for the Azure storage',
    remedy:
      'Give azure.accountKey or azure.sas in the repository’s entry, or set AZURE_ACCOUNT_KEY or AZURE_ACCOUNT_SAS.',
  });
}
