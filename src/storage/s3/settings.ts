/** What may stand under `s3:` in a repository's entry. */
import { z } from 'zod';
import { parseInstant } from '../../base/clock.ts';
import { secretSetting, textOrReferenceSetting } from '../../base/secret-reference.ts';

const text = z.string().min(1);
const MiB = 1024 * 1024;

export const s3Settings = z.strictObject({
  region: text.default('auto').describe('the region requests are signed for; auto: what the service says'),
  accessKeyId: textOrReferenceSetting(
    'the access key, or where it is; without it the environment, files and the machine’s role are asked',
  ).optional(),
  secretAccessKey: secretSetting('the secret key that belongs to accessKeyId').optional(),
  sessionToken: secretSetting('the token of temporary keys').optional(),
  profile: text.describe('a profile of ~/.aws/config and ~/.aws/credentials').optional(),
  roleArn: text.describe('a role to assume with these keys').optional(),
  roleExternalId: text.describe('the external id the role asks for').optional(),
  stsEndpoint: z
    .url({ protocol: /^https?$/ })
    .describe('where roles are assumed; default: Amazon’s')
    .optional(),
  pathStyle: z
    .boolean()
    .describe('true: endpoint/bucket, false: bucket.endpoint; default: false at Amazon, true elsewhere')
    .optional(),
  ca: text.describe('a file of certificates (PEM) to trust besides the usual ones').optional(),
  storageClass: text
    .refine((name) => !['GLACIER', 'DEEP_ARCHIVE'].includes(name), { error: 'cannot be read at once' })
    .describe('a storage class whose objects can be read at once, e.g. STANDARD_IA or GLACIER_IR')
    .optional(),
  serverSideEncryption: z.enum(['AES256', 'aws:kms']).describe('encryption by the service, besides our own').optional(),
  kmsKeyId: text.describe('the key for aws:kms; default: the account’s').optional(),
  objectLock: z
    .strictObject({
      mode: z
        .enum(['compliance', 'governance'])
        .describe('compliance: nobody can end it early; governance: who has the right to bypass it can'),
      days: z.number().positive().max(36_500).describe('how long each object is held; renewed for what is needed'),
    })
    .describe('hold what is stored against removal (Object Lock)')
    .optional(),
  asOf: text
    .refine((value) => parseInstant(value) !== undefined, { error: 'is no time, as in 2026-11-20T03:00:00Z' })
    .describe('read the repository as it was at this time, from the versions the bucket keeps; nothing is written')
    .optional(),
  contentMd5: z.boolean().default(false).describe('send Content-MD5, too: buckets with Object Lock want it'),
  partBytes: z
    .int()
    .min(5 * MiB)
    .max(5 * 1024 * MiB)
    .default(200 * MiB)
    .describe('larger objects are sent in parts of this size, in bytes'),
  concurrency: z.int().min(1).max(256).default(16).describe('connections at once'),
  timeoutSeconds: z.number().positive().max(3600).default(60).describe('how long the service may be silent'),
});

export type S3Settings = z.output<typeof s3Settings>;
