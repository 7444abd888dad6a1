/** What may stand in an entry with `slack:`. */
import { z } from 'zod';
import { secretSetting } from '../../base/secret-reference.ts';

export const settings = z.strictObject({
  slack: secretSetting('The address of an incoming webhook, which is a secret: https://hooks.slack.com/services/….'),
});

export type Settings = z.infer<typeof settings>;
