/** The token that a remote server is asked with: from the environment, or a file that nobody else reads. Never from the command line. */
import { open } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { HoldfastError, systemCode } from '../../base/errors.ts';
import { Secret } from '../../base/secrets.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** `HOLDFAST_TOKEN`, else the file `HOLDFAST_TOKEN_FILE`, else `~/.config/holdfast/token`. `secret.unavailable`. */
export async function readToken(env: Env): Promise<Secret> {
  if (env.HOLDFAST_TOKEN) return new Secret(env.HOLDFAST_TOKEN.trim());
  const folder = env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config');
  const file = env.HOLDFAST_TOKEN_FILE || join(folder, 'holdfast/token');
  try {
    await using handle = await open(file);
    const { mode, size } = await handle.stat();
    if ((mode & 0o077) !== 0) throw unusable(`${file} can be read by others`, `Take that away: chmod 600 ${file}`);
    if (size > 4096) throw unusable(`${file} is no token`, 'Put the token into it, and nothing else.');
    return new Secret((await handle.readFile('utf8')).trim());
  } catch (error) {
    if (error instanceof HoldfastError) throw error;
    const why = systemCode(error) === 'ENOENT' ? 'there is no token' : `${file} cannot be read`;
    throw unusable(
      `${why} to ask the server with`,
      `Make one on the server (holdfast token create), and put it into HOLDFAST_TOKEN or ${file}.`,
    );
  }
}

function unusable(message: string, remedy: string): HoldfastError {
  return new HoldfastError({ code: 'secret.unavailable', message, remedy });
}
