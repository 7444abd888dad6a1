/** What may stand under `rest:` of a repository. */
import { z } from 'zod';
import { secretSetting } from '../../base/secret-reference.ts';

export const restSettings = z.strictObject({
  user: z
    .string()
    .min(1)
    .optional()
    .describe('The user, where the server wants one. Default: that of the URL, or RESTIC_REST_USERNAME.'),
  password: secretSetting('The password. Default: that of the URL, or RESTIC_REST_PASSWORD.').optional(),
  ca: z.string().min(1).optional().describe('A file of certificates (PEM) to trust besides the usual ones.'),
  connections: z.int().min(1).max(64).default(8).describe('Connections at once. Default: 8.'),
  timeoutSeconds: z
    .number()
    .positive()
    .max(3600)
    .default(60)
    .describe('How long the server may be silent. Default: 60.'),
});

export type RestSettings = z.infer<typeof restSettings>;
