/** Every kind of host this program knows. */
import type { Host } from './host.ts';
import { localHost } from './local/index.ts';

/** By the word in `kind:` of a host's configuration. */
export const hostKinds: Readonly<Record<string, () => Host>> = { local: () => localHost() };
