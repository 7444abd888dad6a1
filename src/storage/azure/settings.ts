/** What may stand under `azure:` of a repository. */
import { z } from 'zod';
import { secretSetting } from '../../base/secret-reference.ts';

const text = z.string().min(1);

export const azureSettings = z.strictObject({
  account: text.optional().describe('The storage account. Default: AZURE_ACCOUNT_NAME.'),
  accountKey: secretSetting('A key of the account. Default: AZURE_ACCOUNT_KEY.').optional(),
  sas: secretSetting('A shared access signature instead of a key. Default: AZURE_ACCOUNT_SAS.').optional(),
  endpointSuffix: text.optional().describe('Of other clouds. Default: AZURE_ENDPOINT_SUFFIX, or core.windows.net.'),
  endpoint: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe(
      'The whole address of the account’s blobs, where it is not account.blob.suffix: an emulator, a private one.',
    ),
  accessTier: z.enum(['Hot', 'Cool', 'Cold']).optional().describe('The tier of data (packs). Default: the account’s.'),
  ca: text.optional().describe('A file of certificates (PEM) to trust besides the usual ones.'),
  connections: z.int().min(1).max(256).default(16).describe('Connections at once. Default: 16.'),
  timeoutSeconds: z
    .number()
    .positive()
    .max(3600)
    .default(60)
    .describe('How long the service may be silent. Default: 60.'),
});

export type AzureSettings = z.infer<typeof azureSettings>;
