/** What an entry of `hosts:` with the key `ssh` may say. */
import { z } from 'zod';
import { parseSshAddress } from '../../protocols/ssh/address.ts';
import { signInFields } from '../../protocols/ssh/settings.ts';

export const sshSettings = z.strictObject({
  ssh: z
    .string()
    .refine((text) => parseSshAddress(text) !== undefined, {
      error: 'is no address: write user@host:port; user and port may be left out, IPv6 goes in brackets',
    })
    .describe('The address, as user@host:port. User (default: who runs Holdfast) and port (22) may be left out.'),
  ...signInFields,
  jump: z
    .string()
    .min(1)
    .optional()
    .describe('Go through this host: the name of another entry, or user@host:port with the same credentials.'),
});

export type SshSettings = z.infer<typeof sshSettings>;
