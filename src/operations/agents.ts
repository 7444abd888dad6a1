/** Agents: let one in, see who there is, shut one out. */
import { z } from 'zod';
import { listAgents, revokeAgent } from '../auth/agents/enrolment.ts';
import { issueAgentToken } from '../auth/agents/issue-token.ts';
import { recordAudit } from '../auth/index.ts';
import { formatInstant } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import { stateDirectory } from '../base/state-directory.ts';
import type { CatalogueAccess, Execution, SourceAccess } from './operation.ts';
import { operation } from './operation.ts';

type Uses = CatalogueAccess & Pick<SourceAccess, 'config' | 'env'> & Pick<Execution, 'clock'>;

const name = z.string().min(1).max(64).describe('its name, as `hosts:` names it: { agent: NAME }');

const enrolInput = z.object({
  agent: name,
  /** Its machine joins anew, or another one takes its place: the key it has now ends. */
  replace: z.boolean().default(false),
  /** `host:port` as the agent reaches the server; absent: the first of `server: agents: names:`. */
  address: z
    .string()
    .regex(/^(\[[0-9A-Fa-f:.]+\]|[^\s/:]+):\d{1,5}$/, { error: 'is not HOST:PORT' })
    .optional(),
});
const enrolment = z.object({ agent: z.string(), token: z.string(), address: z.string(), expiresAt: z.string() });
export type AgentEnrolment = z.infer<typeof enrolment>;

/** `token` is shown this once. */
export const agentEnrol = operation({
  name: 'agent enrol',
  permission: 'admin',
  input: enrolInput,
  output: enrolment,
  run: async (request: z.infer<typeof enrolInput>, uses: Uses): Promise<AgentEnrolment> => {
    const { catalogue, clock, env } = uses;
    const { agent, replace } = request;
    const address = request.address ?? addressOf(uses);
    const asked = { catalogue, directory: stateDirectory(env), nowMs: clock.nowMs(), agent, replace, address };
    const { token, expiresAtMs } = await issueAgentToken(asked);
    await audit('agent.enrol', agent, uses);
    return { agent, token: token.reveal(), address, expiresAt: formatInstant(expiresAtMs) };
  },
});

const view = z.object({
  name: z.string(),
  /** connected: heard of within minutes · away · revoked · new: it has not connected yet */
  state: z.enum(['connected', 'away', 'revoked', 'new']),
  hostname: z.string().optional(),
  version: z.string().optional(),
  enrolledAt: z.string(),
  seenAt: z.string().optional(),
  /** Hosts of the configuration that it is. */
  hosts: z.array(z.string()),
});
const list = z.object({ agents: z.array(view) });
export type AgentList = z.infer<typeof list>;

/** The server writes down once a minute who is there. */
const recentMs = 120_000;

export const agentList = operation({
  name: 'agent list',
  permission: 'viewer',
  input: z.object({}),
  output: list,
  run: async (_request: object, { catalogue, config }: Uses): Promise<AgentList> => {
    const nowMs = await catalogue.nowMs();
    const agents = (await listAgents(catalogue)).map((one) => {
      const { revokedAtMs, seenAtMs, enrolledAtMs, facts, version } = one;
      const isRecent = seenAtMs !== undefined && nowMs - seenAtMs < recentMs;
      const known = seenAtMs === undefined ? ('new' as const) : isRecent ? ('connected' as const) : ('away' as const);
      return {
        name: one.name,
        state: revokedAtMs === undefined ? known : ('revoked' as const),
        ...(typeof facts.hostname === 'string' ? { hostname: facts.hostname } : {}),
        ...(version === undefined ? {} : { version }),
        enrolledAt: formatInstant(enrolledAtMs),
        ...(seenAtMs === undefined ? {} : { seenAt: formatInstant(seenAtMs) }),
        hosts: [...config.hosts.values()].filter((host) => isAgent(host, one.name)).map((host) => host.name),
      };
    });
    return { agents };
  },
});

function isAgent({ kind, settings }: { readonly kind: string; readonly settings: unknown }, agent: string): boolean {
  return kind === 'agent' && (settings as { agent?: unknown }).agent === agent;
}

/** Its connection ends within seconds, and what it has stolen or kept lets nobody in. */
export const agentRevoke = operation({
  name: 'agent revoke',
  permission: 'admin',
  input: z.object({ agent: name }),
  output: z.object({ agent: z.string() }),
  run: async ({ agent }: { agent: string }, uses: Uses): Promise<{ agent: string }> => {
    await revokeAgent(uses.catalogue, agent);
    await audit('agent.revoke', agent, uses);
    return { agent };
  },
});

async function audit(action: string, subject: string, { principal, catalogue, clock }: Uses): Promise<void> {
  await recordAudit({ actor: principal.name, action, subject, outcome: 'done' }, { catalogue, clock });
}

function addressOf({ config }: Uses): string {
  const { agents } = config.server;
  const first = agents?.names[0];
  if (agents && first !== undefined) return `${first.includes(':') ? `[${first}]` : first}:${agents.listen.port}`;
  throw new HoldfastError({
    code: 'usage.invalid',
    message: `the server lets no agents in: ${config.file} does not say where`,
    remedy: 'Write «server: agents: { listen: "0.0.0.0:8322", names: [backup.example] }», and start it anew.',
  });
}
