/** What may stand under `sftp:` of a repository. */
import { z } from 'zod';
import { parseSshAddress } from '../../protocols/ssh/address.ts';
import { signInFields } from '../../protocols/ssh/settings.ts';

export const sftpSettings = z.strictObject({
  ...signInFields,
  port: z.int().min(1).max(65_535).optional().describe('The port, where the URL has none. Default: 22.'),
  jump: z
    .string()
    .refine((text) => parseSshAddress(text) !== undefined, { error: 'is no address: write user@host:port' })
    .optional()
    .describe('Go through this server, user@host:port, with the same credentials.'),
  connections: z
    .int()
    .min(1)
    .max(8)
    .default(4)
    .describe('How many SFTP sessions may be used at once, over one connection. Default: 4.'),
});

export type SftpSettings = z.infer<typeof sftpSettings>;
