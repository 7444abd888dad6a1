/** Where this machine remembers what no repository can say. */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** `HOLDFAST_STATE`, else the usual place: of the machine for root, of the user for others. */
export function stateDirectory(env: Readonly<Record<string, string | undefined>>): string {
  if (env.HOLDFAST_STATE) return env.HOLDFAST_STATE;
  if (process.geteuid?.() === 0) return '/var/lib/holdfast';
  return join(env.XDG_STATE_HOME || join(env.HOME || homedir(), '.local/state'), 'holdfast');
}
