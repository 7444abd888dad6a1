/** Opens a folder on a WebDAV server. */
import { Secret } from '../../base/secrets.ts';
import { HttpConnections } from '../../protocols/http/exchange.ts';
import { trustedCertificates } from '../http-faults.ts';
import type { HttpPlace } from '../http-place.ts';
import type { OpenOptions, Storage } from '../storage.ts';
import { Authorizer } from './authorizer.ts';
import { parseWebdavUrl } from './location.ts';
import { WebdavServer } from './server.ts';
import type { WebdavSettings } from './settings.ts';
import { WebdavStorage } from './webdav-storage.ts';

/** Asks nobody, unless the folder is to be made. */
export async function openWebdav(
  url: string,
  { create, settings, tools }: OpenOptions<WebdavSettings>,
): Promise<Storage> {
  const place = parseWebdavUrl(url);
  const { clock, signal, env } = tools;
  const connections = new HttpConnections({
    maxConnections: settings.connections,
    silenceMs: settings.timeoutSeconds * 1000,
    ca: await trustedCertificates(settings.ca, 'webdav'),
    env,
  });
  const authorizer = new Authorizer({ ...(await signInOf(place, settings, tools)), auth: settings.auth });
  const storage = new WebdavStorage(new WebdavServer({ place, connections, authorizer, clock, signal }), clock);
  try {
    if (create) await storage.create();
    return storage;
  } catch (error) {
    await storage.close();
    throw error;
  }
}

/** The settings before the URL before the environment. */
async function signInOf(
  place: HttpPlace,
  settings: WebdavSettings,
  { secret, env }: OpenOptions<WebdavSettings>['tools'],
): Promise<{ user?: string; password?: Secret }> {
  const given = settings.password && (await secret(settings.password, `the password of ${place.shown}`));
  const inEnv = env.HOLDFAST_WEBDAV_PASSWORD;
  return {
    user: settings.user ?? place.user ?? env.HOLDFAST_WEBDAV_USER,
    password: given ?? place.password ?? (inEnv === undefined ? undefined : new Secret(inEnv)),
  };
}
