/** What may stand under `gs:` of a repository. */
import { z } from 'zod';
import { secretSetting } from '../../base/secret-reference.ts';

const text = z.string().min(1);

export const gsSettings = z.strictObject({
  credentials: secretSetting(
    'The JSON of a service account’s key, or of a user’s credentials. Default: GOOGLE_ACCESS_TOKEN, the file in GOOGLE_APPLICATION_CREDENTIALS, or the machine’s own account.',
  ).optional(),
  anonymous: z.boolean().default(false).describe('Show no credentials: for emulators. Default: false.'),
  project: text
    .optional()
    .describe('Where a new bucket is made. Default: GOOGLE_PROJECT_ID, or that of the credentials.'),
  location: text.default('us').describe('Where a new bucket lies. Default: us.'),
  endpoint: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe('Another address of the service. Default: STORAGE_EMULATOR_HOST, or https://storage.googleapis.com.'),
  ca: text.optional().describe('A file of certificates (PEM) to trust besides the usual ones.'),
  connections: z.int().min(1).max(256).default(16).describe('Connections at once. Default: 16.'),
  timeoutSeconds: z
    .number()
    .positive()
    .max(3600)
    .default(60)
    .describe('How long the service may be silent. Default: 60.'),
});

export type GsSettings = z.infer<typeof gsSettings>;
