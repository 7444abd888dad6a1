/**
 * The server's own certificate authority for agents: `agent-authority/` in its state directory, readable by its user only.
 * It is made when it is first needed, and never again once agents trust it: they would all have to be enrolled anew.
 */

import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError, messageOf, systemCode } from '../../base/errors.ts';
import { type Credentials, makeAuthority } from '../../protocols/agent/certificates.ts';

const keyName = 'key.pem';
const certificateName = 'certificate.pem';

export interface AuthorityPlace {
  /** The state directory. */
  readonly directory: string;
  readonly nowMs: number;
  /** False once there are agents: a missing authority is then a loss, not a beginning. */
  readonly mayMake: () => Promise<boolean>;
}

/** Reads it, or makes it. `secret.unavailable` if it is gone, or cannot be read or written. */
export async function openAuthority({ directory, nowMs, mayMake }: AuthorityPlace): Promise<Credentials> {
  const folder = join(directory, 'agent-authority');
  const found = await readAuthority(folder);
  if (found) return found;
  if (!(await mayMake())) throw gone(folder);
  await writeAuthority(folder, await makeAuthority(nowMs));
  const made = await readAuthority(folder);
  if (made) return made;
  throw gone(folder);
}

async function readAuthority(folder: string): Promise<Credentials | undefined> {
  try {
    const key = await readFile(join(folder, keyName), 'utf8');
    return { key, certificate: await readFile(join(folder, certificateName), 'utf8') };
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return undefined;
    throw unusable(folder, cause);
  }
}

/** Complete or not at all; of two programs that make one at the same time, the first wins. */
async function writeAuthority(folder: string, made: Credentials): Promise<void> {
  const draft = `${folder}.${randomBytes(6).toString('hex')}`;
  try {
    await mkdir(draft, { recursive: true, mode: 0o700 });
    await writeFile(join(draft, keyName), made.key, { mode: 0o600, flush: true });
    await writeFile(join(draft, certificateName), made.certificate, { mode: 0o600, flush: true });
    await rename(draft, folder);
  } catch (cause) {
    await rm(draft, { recursive: true, force: true });
    if (!['ENOTEMPTY', 'EEXIST'].includes(systemCode(cause) ?? '')) throw unusable(folder, cause);
  }
}

function gone(folder: string): HoldfastError {
  return new HoldfastError({
    code: 'secret.unavailable',
    message: `the authority that the agents trust is not in ${folder}`,
    remedy: 'Put the folder back from where you keep a copy. Without it, revoke every agent and enrol them anew.',
  });
}

function unusable(folder: string, cause: unknown): HoldfastError {
  return new HoldfastError({
    code: 'secret.unavailable',
    message: `the authority of the agents in ${folder} cannot be used: ${messageOf(cause)}`,
    remedy: 'Check that the folder is there and that this user may read and write it.',
    cause,
  });
}
