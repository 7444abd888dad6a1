/** What may stand in an entry with `discord:`. */
import { z } from 'zod';
import { secretSetting } from '../../base/secret-reference.ts';

export const settings = z.strictObject({
  discord: secretSetting(
    'The address of a webhook of the channel, which is a secret: https://discord.com/api/webhooks/….',
  ),
});

export type Settings = z.infer<typeof settings>;
