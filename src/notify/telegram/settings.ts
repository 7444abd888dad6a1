/** What may stand in an entry with `telegram:`. */
import { z } from 'zod';
import { secretSetting } from '../../base/secret-reference.ts';
import { webAddress } from '../fields.ts';

export const settings = z.strictObject({
  telegram: z
    .union([z.string().regex(/^(-?\d{1,20}|@[A-Za-z0-9_]{4,64})$/), z.int().transform(String)])
    .describe('The chat: its number (negative for groups), or @name of a public channel.'),
  token: secretSetting('The token of the bot, as @BotFather gave it.'),
  thread: z.int().positive().optional().describe('The number of a topic within the group.'),
  server: webAddress('The Bot API. Default: https://api.telegram.org; or a server of your own.').default(
    'https://api.telegram.org',
  ),
});

export type Settings = z.infer<typeof settings>;
