/** What may stand in an entry with `gotify:`. */
import { z } from 'zod';
import { secretSetting } from '../../base/secret-reference.ts';
import { caSetting, levelsSetting, webAddress } from '../fields.ts';

export const settings = z.strictObject({
  gotify: webAddress('The server: https://gotify.example.'),
  token: secretSetting('The token of an application of the server.'),
  priorities: levelsSetting(0, 10, { error: 8, warning: 5, info: 2 }),
  ca: caSetting,
});

export type Settings = z.infer<typeof settings>;
