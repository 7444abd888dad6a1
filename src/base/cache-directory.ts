/** Where this machine keeps what it can fetch again. */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** `HOLDFAST_CACHE`, else a folder in `HOLDFAST_STATE` if that is set, else the usual place: of the machine for root, of the user for others. `undefined` for `off`. Safe to delete at any time. */
export function cacheDirectory(env: Readonly<Record<string, string | undefined>>): string | undefined {
  if (env.HOLDFAST_CACHE === 'off') return undefined;
  if (env.HOLDFAST_CACHE) return env.HOLDFAST_CACHE;
  if (env.HOLDFAST_STATE) return join(env.HOLDFAST_STATE, 'cache');
  if (process.geteuid?.() === 0) return '/var/cache/holdfast';
  return join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), '.cache'), 'holdfast');
}
