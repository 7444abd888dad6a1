/** Opens a bucket. */
import { readFile } from 'node:fs/promises';
import { HoldfastError, messageOf } from '../../base/errors.ts';
import { Secret } from '../../base/secrets.ts';
import { HttpConnections } from '../../protocols/http/exchange.ts';
import { trustedCertificates } from '../http-faults.ts';
import { HttpService } from '../http-service.ts';
import type { OpenOptions, Storage } from '../storage.ts';
import { refusal } from './gs-errors.ts';
import { GsStorage } from './gs-storage.ts';
import { parseGsUrl } from './location.ts';
import type { GsSettings } from './settings.ts';
import { fixedToken, type GoogleCredentials, parseCredentials, tokenSource } from './tokens.ts';

type Tools = OpenOptions<GsSettings>['tools'];

/** Asks nobody, unless the bucket is to be made. */
export async function openBucket(url: string, { create, settings, tools }: OpenOptions<GsSettings>): Promise<Storage> {
  const { bucket, prefix } = parseGsUrl(url);
  const { clock, signal, env } = tools;
  const endpoint = endpointOf(settings, env);
  const connections = new HttpConnections({
    maxConnections: settings.connections,
    silenceMs: settings.timeoutSeconds * 1000,
    ca: await trustedCertificates(settings.ca, 'gs'),
    env,
  });
  const { credentials, token } = await signInOf(settings, tools);
  const tokens =
    token ??
    tokenSource(credentials, env.GCE_METADATA_HOST || 'metadata.google.internal', { connections, clock, signal });
  const service = new HttpService({
    endpoint: { protocol: endpoint.protocol === 'http:' ? 'http:' : 'https:', host: endpoint.host },
    location: url,
    settings: 'gs',
    ...{ connections, clock, signal, refusal },
    authorize: async () => {
      const secret = await tokens.current();
      return secret ? { headers: { authorization: `Bearer ${secret.reveal()}` } } : {};
    },
    renew: tokens.renew,
  });
  const storage = new GsStorage({ service, bucket, prefix });
  try {
    if (create) await storage.create({ project: projectOf(settings, env, credentials), location: settings.location });
    return storage;
  } catch (error) {
    await storage.close();
    throw error;
  }
}

function endpointOf({ endpoint }: GsSettings, env: Tools['env']): URL {
  const emulator = env.STORAGE_EMULATOR_HOST || undefined;
  const given = emulator === undefined || /^https?:/.test(emulator) ? emulator : `http://${emulator}`;
  return new URL(endpoint ?? given ?? 'https://storage.googleapis.com');
}

/** The settings before the environment, a token before a file; an emulator wants nothing. */
async function signInOf({ credentials, anonymous }: GsSettings, { secret, env }: Tools) {
  if (anonymous) return { token: fixedToken(undefined) };
  if (credentials) return { credentials: parseCredentials(await secret(credentials, 'gs.credentials')) };
  if (env.GOOGLE_ACCESS_TOKEN) return { token: fixedToken(new Secret(env.GOOGLE_ACCESS_TOKEN)) };
  const file = env.GOOGLE_APPLICATION_CREDENTIALS;
  if (file) return { credentials: parseCredentials(await credentialsIn(file)) };
  return env.STORAGE_EMULATOR_HOST ? { token: fixedToken(undefined) } : {};
}

function projectOf({ project }: GsSettings, env: Tools['env'], credentials: GoogleCredentials | undefined) {
  const own = credentials?.type === 'service_account' ? credentials.project_id : credentials?.quota_project_id;
  return project ?? (env.GOOGLE_PROJECT_ID || own);
}

async function credentialsIn(file: string): Promise<Secret> {
  try {
    return new Secret(await readFile(file, 'utf8'));
  } catch (cause) {
    throw new HoldfastError({
      code: 'secret.unavailable',
      message: `the credentials in ${file} cannot be read: ${messageOf(cause)}`,
      remedy: 'Check GOOGLE_APPLICATION_CREDENTIALS: it must be a file this user may read.',
      cause,
    });
  }
}
