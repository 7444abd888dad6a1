/** The agent as a program: `holdfast agent join` and `holdfast agent run`. */
import type { Clock } from '../base/clock.ts';
import { createLog } from '../base/log.ts';
import type { SourceAccess } from '../operations/operation.ts';
import { joinServer } from './join.ts';
import type { AgentParts } from './perform.ts';
import { runAgent } from './run-agent.ts';

export interface AgentRequest {
  readonly stateDirectory: string;
  readonly env: SourceAccess['env'];
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly logLevel: string;
}

/** `parts`: what the program was built with. */
export function agentProgram(parts: () => Promise<AgentParts>) {
  return {
    join: joinServer,
    run: async ({ logLevel, ...request }: AgentRequest): Promise<void> => {
      await runAgent({ ...request, parts: await parts(), log: createLog({ level: logLevel }) });
    },
  };
}
