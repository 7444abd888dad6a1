/** Who this agent is: what joining gave it, in `agent/` of its state directory, for its user only. */
import { join } from 'node:path';
import { z } from 'zod';
import { HoldfastError } from '../base/errors.ts';
import { readPrivate, writePrivate } from './private-file.ts';

const identity = z.object({
  format: z.literal(1),
  name: z.string(),
  /** `host:port` of the server. */
  address: z.string(),
  /** PEM: its own key, which never leaves this machine, and the certificate for it. */
  key: z.string(),
  certificate: z.string(),
  /** PEM: whom to trust as the server. */
  authority: z.string(),
});
export type Identity = z.infer<typeof identity>;

export function agentDirectory(stateDirectory: string): string {
  return join(stateDirectory, 'agent');
}

/** `agent.unknown` before it has joined. */
export async function readIdentity(stateDirectory: string): Promise<Identity> {
  const found = await readPrivate(fileOf(stateDirectory), identity);
  if (found) return found;
  throw new HoldfastError({
    code: 'agent.unknown',
    message: 'this machine is not an agent of any server',
    remedy: 'Make a token on the server with «holdfast agent enrol NAME», and give it to: holdfast agent join',
  });
}

export async function writeIdentity(stateDirectory: string, own: Identity): Promise<void> {
  await writePrivate(fileOf(stateDirectory), own);
}

/** True if it has joined before. */
export async function hasIdentity(stateDirectory: string): Promise<boolean> {
  return (await readPrivate(fileOf(stateDirectory), identity)) !== undefined;
}

function fileOf(stateDirectory: string): string {
  return join(agentDirectory(stateDirectory), 'identity.json');
}
