/** Opens a place rclone reaches. */

import type { HttpPlace } from '../../http-place.ts';
import type { OpenOptions, Storage } from '../../storage.ts';
import { RestStorage } from '../rest-storage.ts';
import { RestServer } from '../server.ts';
import { RcloneExchanges } from './exchanges.ts';
import { parseRcloneUrl } from './location.ts';
import { requireRemotePlace } from './require-place.ts';
import type { RcloneSettings } from './settings.ts';

/**
 * Buckets of B2 would keep what is deleted, as hidden versions; restic tells it the same. And rclone would remember sizes from
 * lists: of an object that was listed while it grew, where remotes do not store at once, it could never be read again.
 */
const standing = ['--b2-hard-delete', '--cache-objects=false'];

/** rclone itself is started when it is first needed. */
export async function openRemote(
  url: string,
  { create, settings, tools }: OpenOptions<RcloneSettings>,
): Promise<Storage> {
  const remote = parseRcloneUrl(url);
  const place: HttpPlace = { protocol: 'http:', host: 'localhost', path: '/', shown: url };
  const { clock, signal } = tools;
  const argv = ['serve', 'restic', '--stdio', ...standing, ...settings.options, '--', remote];
  const launch = { program: settings.program, env: await environmentOf(settings, tools), place: url };
  const silenceMs = settings.timeoutSeconds * 1000;
  const connections = new RcloneExchanges({
    launch: { ...launch, argv },
    most: settings.connections,
    silenceMs,
    clock,
  });
  const { options } = settings;
  const requirePlace = () => requireRemotePlace({ launch, options, remote, mostMs: silenceMs, clock, signal });
  const storage = new RestStorage(new RestServer({ place, connections, clock, signal }), requirePlace);
  try {
    if (create) await storage.create();
    return storage;
  } catch (error) {
    await storage.close();
    throw error;
  }
}

/** What rclone gets of this process's environment: what it knows itself. The rest may hold secrets of others. */
const inherited =
  /^(?:PATH|HOME|USER|LOGNAME|LANG|LC_[A-Z]+|TZ|TMPDIR|LD_LIBRARY_PATH|SSH_AUTH_SOCK|SSL_CERT_(?:FILE|DIR)|XDG_\w+|(?:HTTPS?|NO|ALL)_PROXY|(?:https?|no|all)_proxy|(?:RCLONE|AWS|AZURE|GOOGLE|OS|B2)_\w+)$/;

async function environmentOf(
  { config, configPassword, env = {}, secrets = {} }: RcloneSettings,
  { env: own, secret }: OpenOptions<RcloneSettings>['tools'],
): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(own)) {
    if (inherited.test(name) && value !== undefined) found[name] = value;
  }
  // Nobody is there who could be asked for the password of its file.
  Object.assign(found, { RCLONE_ASK_PASSWORD: 'false' }, env);
  if (config !== undefined) found.RCLONE_CONFIG = config;
  if (configPassword) found.RCLONE_CONFIG_PASS = (await secret(configPassword, 'rclone.configPassword')).reveal();
  for (const [name, reference] of Object.entries(secrets)) {
    found[name] = (await secret(reference, `rclone.secrets.${name}`)).reveal();
  }
  return found;
}
