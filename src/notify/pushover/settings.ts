/** What may stand in an entry with `pushover:`. */
import { z } from 'zod';
import { secretSetting } from '../../base/secret-reference.ts';
import { levelsSetting } from '../fields.ts';

export const settings = z.strictObject({
  pushover: secretSetting('The key of the user or group who is told.'),
  token: secretSetting('The token of an application.'),
  device: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,25}(,[A-Za-z0-9_-]{1,25})*$/)
    .optional()
    .describe('Only on this device.'),
  priorities: levelsSetting(-2, 2, { error: 1, warning: 0, info: -1 }),
});

export type Settings = z.infer<typeof settings>;
