/** Opens a repository's folder on a REST server. */
import { Secret } from '../../base/secrets.ts';
import { HttpConnections } from '../../protocols/http/exchange.ts';
import { trustedCertificates } from '../http-faults.ts';
import type { HttpPlace } from '../http-place.ts';
import type { OpenOptions, Storage } from '../storage.ts';
import { parseRestUrl } from './location.ts';
import { RestStorage } from './rest-storage.ts';
import { RestServer } from './server.ts';
import type { RestSettings } from './settings.ts';

export async function openRest(url: string, { create, settings, tools }: OpenOptions<RestSettings>): Promise<Storage> {
  const place = parseRestUrl(url);
  const connections = new HttpConnections({
    maxConnections: settings.connections,
    silenceMs: settings.timeoutSeconds * 1000,
    ca: await trustedCertificates(settings.ca, 'rest'),
    env: tools.env,
  });
  const { clock, signal } = tools;
  const server = new RestServer({ place, connections, ...(await credentials(place, settings, tools)), clock, signal });
  const storage = new RestStorage(server);
  try {
    if (create) await storage.create();
    return storage;
  } catch (error) {
    await storage.close();
    throw error;
  }
}

/** The settings before the URL before restic's own variables. */
async function credentials(
  place: HttpPlace,
  settings: RestSettings,
  { secret, env }: OpenOptions<RestSettings>['tools'],
): Promise<{ user?: string; password?: Secret }> {
  const user = settings.user ?? place.user ?? env.RESTIC_REST_USERNAME;
  const given = settings.password && (await secret(settings.password, `the password of ${place.shown}`));
  const inEnv = env.RESTIC_REST_PASSWORD;
  return { user, password: given ?? place.password ?? (inEnv === undefined ? undefined : new Secret(inEnv)) };
}
