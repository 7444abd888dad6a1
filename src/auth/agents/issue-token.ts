/** A token for a new agent: where the server is, by what it is known, and a secret that is good once. */
import { HoldfastError } from '../../base/errors.ts';
import { Secret } from '../../base/secrets.ts';
import type { Catalogue } from '../../catalogue/open.ts';
import { fingerprintOf } from '../../protocols/agent/certificates.ts';
import { formatToken } from '../../protocols/agent/enrolment-token.ts';
import { openAuthority } from './authority.ts';
import { agentNameForm, createEnrolment, hasAgents } from './enrolment.ts';

export interface TokenRequest {
  readonly catalogue: Catalogue;
  /** State directory of the server. */
  readonly directory: string;
  readonly nowMs: number;
  readonly agent: string;
  readonly replace: boolean;
  /** `host:port`. */
  readonly address: string;
}

/** `usage.invalid`; `secret.unavailable` where the authority is gone. */
export async function issueAgentToken(request: TokenRequest): Promise<{ token: Secret; expiresAtMs: number }> {
  const { catalogue, directory, nowMs, agent, replace, address } = request;
  if (!agentNameForm.test(agent)) {
    throw new HoldfastError({
      code: 'usage.invalid',
      message: `«${agent}» is not a name for an agent`,
      remedy: 'Use letters, digits, «.», «_» and «-», at most 64, beginning with a letter or digit.',
    });
  }
  const authority = await openAuthority({ directory, nowMs, mayMake: async () => !(await hasAgents(catalogue)) });
  const { secret, expiresAtMs } = await createEnrolment(catalogue, { agent, replace });
  const content = { address, fingerprint: fingerprintOf(authority.certificate), name: agent, secret };
  return { token: new Secret(formatToken(content)), expiresAtMs };
}
