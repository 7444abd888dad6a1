/** Every way this program tells somebody. */
import type { AnyChannelKind } from './channel.ts';
import { discord } from './discord/index.ts';
import { email } from './email/index.ts';
import { gotify } from './gotify/index.ts';
import { healthchecks } from './healthchecks/index.ts';
import { ntfy } from './ntfy/index.ts';
import { pushover } from './pushover/index.ts';
import { slack } from './slack/index.ts';
import { teams } from './teams/index.ts';
import { telegram } from './telegram/index.ts';
import { webhook } from './webhook/index.ts';

export const channelKinds: readonly AnyChannelKind[] = [
  ntfy,
  email,
  webhook,
  slack,
  discord,
  telegram,
  teams,
  gotify,
  pushover,
  healthchecks,
];
