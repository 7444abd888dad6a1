/** Every way this program tells somebody. */
import type { AnyChannelKind } from './channel.ts';
import { ntfy } from './ntfy/index.ts';

export const channelKinds: readonly AnyChannelKind[] = [ntfy];
