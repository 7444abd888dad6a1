/** Every way this program reaches a machine. */
import type { AnyHostKind } from './host.ts';

export { localHost } from './local/index.ts';

export const hostKinds: readonly AnyHostKind[] = [];
