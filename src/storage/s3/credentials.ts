/**
 * Whose keys sign requests: those of the settings; else of the environment; else what Amazon's own programs would find
 * (profiles of the shared files, SSO, web identity, credential_process, container and instance roles), by the official
 * library, which is loaded only then. With `roleArn` a role is assumed with them.
 */
import type { Clock } from '../../base/clock.ts';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import type { HttpConnections } from '../../protocols/http/exchange.ts';
import type { StorageTools } from '../storage.ts';
import { assumeRole } from './assume-role.ts';
import type { S3Settings } from './settings.ts';
import type { Credentials } from './signer.ts';

export interface CredentialSource {
  /** Asked for before every request; cached. `secret.unavailable` if there are none. */
  current(): Promise<Credentials>;
  /** The service says that these are over: the next ones are fetched anew. False: there will be no others. */
  renew(stale: Credentials): boolean;
}

/** Temporary keys are replaced this long before they end. */
const earlyMs = 5 * 60_000;

export interface CredentialRequest {
  readonly settings: S3Settings;
  readonly tools: StorageTools;
  readonly connections: HttpConnections;
}

export function credentialSource(request: CredentialRequest): CredentialSource {
  const { settings, tools, connections } = request;
  const base = baseSource(request);
  const { roleArn } = settings;
  if (roleArn === undefined) return base;
  const assumed = async (): Promise<Credentials> =>
    assumeRole({ ...settings, roleArn }, { credentials: await base.current(), connections, tools });
  return cached(assumed, tools.clock);
}

function baseSource({ settings, tools }: CredentialRequest): CredentialSource {
  const { env, clock } = tools;
  if (settings.accessKeyId !== undefined || settings.secretAccessKey !== undefined) {
    return cached(() => fromSettings(settings, tools), clock);
  }
  if (settings.profile === undefined && env.AWS_ACCESS_KEY_ID && env.AWS_SECRET_ACCESS_KEY) {
    return cached(async () => fromEnvironment(env), clock);
  }
  return cached(chain(settings, env), clock);
}

async function fromSettings(settings: S3Settings, tools: StorageTools): Promise<Credentials> {
  const { accessKeyId, secretAccessKey, sessionToken } = settings;
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw none('s3.accessKeyId and s3.secretAccessKey belong together; one of them is missing');
  }
  const id =
    typeof accessKeyId === 'string' ? accessKeyId : (await tools.secret(accessKeyId, 's3.accessKeyId')).reveal();
  const secret = await tools.secret(secretAccessKey, 's3.secretAccessKey');
  const token = sessionToken && (await tools.secret(sessionToken, 's3.sessionToken'));
  return { accessKeyId: id, secretAccessKey: secret.reveal(), sessionToken: token?.reveal() };
}

function fromEnvironment(env: StorageTools['env']): Credentials {
  return {
    accessKeyId: env.AWS_ACCESS_KEY_ID ?? '',
    secretAccessKey: env.AWS_SECRET_ACCESS_KEY ?? '',
    sessionToken: env.AWS_SESSION_TOKEN || undefined,
  };
}

function chain(settings: S3Settings, env: StorageTools['env']): () => Promise<Credentials> {
  const profile = settings.profile ?? env.AWS_PROFILE;
  return async () => {
    const { defaultProvider } = await import('@aws-sdk/credential-provider-node');
    const files = { filepath: env.AWS_SHARED_CREDENTIALS_FILE, configFilepath: env.AWS_CONFIG_FILE };
    try {
      return await defaultProvider({ profile, ...files })();
    } catch (error) {
      // A program that gives credentials is quoted with its arguments, which may hold a secret.
      const said = messageOf(error);
      throw none(/command failed/i.test(said) ? 'the credential_process of the profile failed' : said);
    }
  };
}

/** One fetch at a time; kept until shortly before the end. A failure is not kept. */
function cached(fetch: () => Promise<Credentials>, clock: Clock): CredentialSource {
  let fetched: Promise<Credentials> | undefined;
  let known: Credentials | undefined;
  const again = (): Promise<Credentials> => {
    fetched ??= fetch().then(
      (credentials) => {
        known = credentials;
        return credentials;
      },
      (error: unknown) => {
        fetched = undefined;
        throw error;
      },
    );
    return fetched;
  };
  return {
    current: () => {
      if (known?.expiration && known.expiration.getTime() - earlyMs < clock.nowMs()) {
        fetched = undefined;
        known = undefined;
      }
      return again();
    },
    renew: (stale) => {
      if (stale.expiration === undefined) return false;
      if (known === stale) {
        fetched = undefined;
        known = undefined;
      }
      return true;
    },
  };
}

function none(why: string): HoldfastError {
  return new HoldfastError({
    code: 'secret.unavailable',
    message: `there are no keys for the S3 storage: ${why}`,
    remedy:
      'Give accessKeyId and secretAccessKey under s3: in the repository’s entry, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile.',
  });
}
