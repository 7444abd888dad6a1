/** Agents: who there is, a token that lets one in, and shutting one out. They are the server's, whatever they back up. */
import { agentEnrol, agentList, agentRevoke } from '../../operations/agents.ts';
import { operationRoute } from '../operation-route.ts';
import type { Route, Subject } from '../route.ts';

const everything = (): Subject => ({ everything: true });

export const agentRoutes: readonly Route[] = [
  operationRoute(agentList, {
    ...{ method: 'get', path: '/api/agents', id: 'listAgents', tag: 'agents' },
    summary: 'Agents that have joined, and which of them are there.',
    where: everything,
  }),
  operationRoute(agentEnrol, {
    ...{ method: 'post', path: '/api/agents', id: 'enrolAgent', tag: 'agents', secret: true, auditsItself: true },
    summary: 'A token that lets one machine join as an agent, once, within an hour.',
    where: everything,
  }),
  operationRoute(agentRevoke, {
    ...{ method: 'delete', path: '/api/agents/{agent}', id: 'revokeAgent', tag: 'agents', auditsItself: true },
    summary: 'Shut an agent out: its connection ends within seconds.',
    where: everything,
  }),
];
