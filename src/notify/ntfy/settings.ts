/** What may stand in an entry with `ntfy:`. */
import { z } from 'zod';
import { secretSetting } from '../../base/secret-reference.ts';
import { caSetting, levelsSetting, webAddress } from '../fields.ts';

export const settings = z.strictObject({
  ntfy: webAddress('The server and the topic: https://ntfy.sh/my-backups.').refine(
    (url) => /^\/(.*\/)?[-_A-Za-z0-9]{1,64}$/.test(new URL(url).pathname),
    'names no topic: https://ntfy.example/topic',
  ),
  token: secretSetting('An access token (tk_…), where the topic is protected.').optional(),
  user: z.string().min(1).optional().describe('The user, where there is no token.'),
  password: secretSetting('The password of the user.').optional(),
  tags: z.array(z.string().min(1)).default([]).describe('Further tags; names of emojis are shown as such.'),
  priorities: levelsSetting(1, 5, { error: 4, warning: 3, info: 2 }),
  ca: caSetting,
});

export type Settings = z.infer<typeof settings>;
