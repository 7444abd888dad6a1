/** What may stand in an entry with `webhook:`. */
import { z } from 'zod';
import { secretSetting, textOrReferenceSetting } from '../../base/secret-reference.ts';
import { caSetting } from '../fields.ts';

export const settings = z.strictObject({
  webhook: textOrReferenceSetting(
    'The address events are posted to: https://host/path, or a reference like { env: NAME } where it holds a secret.',
  ),
  secret: secretSetting('Signs what is sent: whsec_ and base64 of 24 to 64 bytes, or any other text.').optional(),
  headers: z
    .record(z.string().regex(/^[A-Za-z0-9-]{1,64}$/), secretSetting('The value of the header.'))
    .optional()
    .describe('Further headers; their values are secrets: { authorization: { env: TOKEN } }.'),
  ca: caSetting,
});

export type Settings = z.infer<typeof settings>;
