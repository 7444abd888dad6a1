/** Makes this machine an agent: the key is made here and stays here; the token's secret buys the certificate for it. */
import { hostname } from 'node:os';
import { HoldfastError } from '../base/errors.ts';
import { programVersion } from '../base/version.ts';
import { isIssuedBy, keyHashOf, makeRequest, newKey } from '../protocols/agent/certificates.ts';
import { parseToken } from '../protocols/agent/enrolment-token.ts';
import { enrol, fetchAuthority } from './connect.ts';
import { hasIdentity, writeIdentity } from './identity.ts';

export interface JoinRequest {
  /** As `agent enrol` printed it. */
  readonly token: string;
  readonly stateDirectory: string;
  /** Give up what this machine was before. */
  readonly replace: boolean;
}

/** Gives the agent's name. `agent.refused`, `host.unreachable`; nothing is changed then. */
export async function joinServer({
  token,
  stateDirectory,
  replace,
}: JoinRequest): Promise<{ name: string; address: string }> {
  const { address, fingerprint, secret } = parseToken(token);
  if (!replace && (await hasIdentity(stateDirectory))) {
    throw new HoldfastError({
      code: 'usage.invalid',
      message: 'this machine is an agent already',
      remedy: 'Give --replace to join anew, or set HOLDFAST_STATE for a second agent. The token was not used.',
    });
  }
  const trusted = await fetchAuthority(address, fingerprint);
  const key = await newKey();
  const answer = await enrol(address, trusted, {
    secret,
    request: await makeRequest(key),
    ...{ version: programVersion, hostname: hostname(), platform: `${process.platform}-${process.arch}` },
  });
  requireOwn(answer.certificate, trusted, await keyHashOfRequest(key));
  const { name, certificate } = answer;
  await writeIdentity(stateDirectory, { format: 1, name, address, key, certificate, authority: trusted });
  return { name, address };
}

async function keyHashOfRequest(key: string): Promise<string> {
  const { createHash, createPublicKey } = await import('node:crypto');
  return createHash('sha256')
    .update(createPublicKey(key).export({ format: 'der', type: 'spki' }))
    .digest('hex');
}

/** What is stored is what will be shown: it has to fit the key and the authority. */
export function requireOwn(certificate: string, authority: string, keyHash: string): void {
  if (isIssuedBy(certificate, authority) && keyHashOf(certificate) === keyHash) return;
  throw new HoldfastError({
    code: 'agent.refused',
    message: 'the server gave a certificate that does not fit the key of this agent',
    remedy: 'Make a new token and join again.',
  });
}
