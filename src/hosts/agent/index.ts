/** Machines with an agent on them: what is to be done there, the agent does. Nothing is reached from here. */
import { HoldfastError } from '../../base/errors.ts';
import type { HostKind } from '../host.ts';
import { type AgentSettings, agentSettings } from './settings.ts';

export const agentHost: HostKind<AgentSettings> = {
  name: 'agent',
  title: 'Agent',
  settings: agentSettings,
  performsThere: true,
  open: (name, { agent }) =>
    Promise.reject(
      new HoldfastError({
        code: 'host.unreachable',
        message: `the host «${name}» is reached by runs of the server only: its agent «${agent}» performs them there`,
        remedy: 'Let the server do it (holdfast --server URL …, or its schedule), or use the host over ssh.',
      }),
    ),
};
