/**
 * What a person carries from the server to a new agent: where to connect, whom to trust there, and a secret that is good
 * once. The secret is all that has to be kept; without the server's answer it is worth nothing.
 */
import { z } from 'zod';
import { HoldfastError } from '../../base/errors.ts';

const mark = 'hfagent1.';

const content = z.object({
  /** `host:port` of the listener for agents; IPv6 in brackets. */
  address: z.string().regex(/^(\[[0-9A-Fa-f:.]+\]|[^\s/:]+):\d{1,5}$/),
  /** SHA-256 of the authority's certificate, in hex. */
  fingerprint: z.string().regex(/^[0-9a-f]{64}$/),
  name: z.string(),
  secret: z.string().min(32),
});
export type EnrolmentToken = z.infer<typeof content>;

export function formatToken(token: EnrolmentToken): string {
  return mark + Buffer.from(JSON.stringify(token)).toString('base64url');
}

/** `agent.refused` if it is none. The message never holds any of it. */
export function parseToken(text: string): EnrolmentToken {
  const trimmed = text.trim();
  try {
    if (trimmed.startsWith(mark)) {
      return content.parse(JSON.parse(Buffer.from(trimmed.slice(mark.length), 'base64url').toString('utf8')));
    }
  } catch {
    // The same answer as for what does not even look like one.
  }
  throw new HoldfastError({
    code: 'agent.refused',
    message: 'what was given is not an enrolment token, or not the whole of one',
    remedy: 'Give the line that «holdfast agent enrol NAME» printed on the server, from its first letter to its last.',
  });
}

/** Host and port of an address as a token has it. */
export function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const at = address.lastIndexOf(':');
  return { host: address.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(address.slice(at + 1)) };
}
