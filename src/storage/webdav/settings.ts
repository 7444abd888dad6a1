/** What may stand under `webdav:` of a repository. */
import { z } from 'zod';
import { secretSetting } from '../../base/secret-reference.ts';

export const webdavSettings = z.strictObject({
  user: z.string().min(1).optional().describe('The user. Default: that of the URL, or HOLDFAST_WEBDAV_USER.'),
  password: secretSetting('The password. Default: that of the URL, or HOLDFAST_WEBDAV_PASSWORD.').optional(),
  auth: z
    .enum(['auto', 'basic', 'digest'])
    .default('auto')
    .describe('How the password is shown: auto takes what the server asks for, digest before basic. Default: auto.'),
  ca: z.string().min(1).optional().describe('A file of certificates (PEM) to trust besides the usual ones.'),
  connections: z.int().min(1).max(64).default(8).describe('Connections at once. Default: 8.'),
  timeoutSeconds: z
    .number()
    .positive()
    .max(3600)
    .default(60)
    .describe('How long the server may be silent. Default: 60.'),
});

export type WebdavSettings = z.infer<typeof webdavSettings>;
