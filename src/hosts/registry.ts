/** Every way this program reaches a machine. */
import { agentHost } from './agent/index.ts';
import { docker } from './docker/index.ts';
import type { AnyHostKind } from './host.ts';
import { sshHost } from './ssh/index.ts';

export { openContainerEngine } from './docker/index.ts';
export { localHost } from './local/index.ts';

export const hostKinds: readonly AnyHostKind[] = [docker, sshHost, agentHost];
