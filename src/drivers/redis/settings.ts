/** Settings of a Redis or Valkey source. */
import { z } from 'zod';
import { secretSetting } from '../../base/secret-reference.ts';

const file = z.string().startsWith('/', 'an absolute path');

export const settings = z.strictObject({
  url: z
    .string()
    .regex(/^rediss?:\/\/(?:[^@/:?#]+@)?(?:\[[0-9a-fA-F:.]+\]|[^@/:?#[\]]+)(?::\d{1,5})?\/?$/, {
      error: 'is not like redis://user@host:6379 (the password goes under «password», there is no database number)',
    })
    .default('redis://127.0.0.1:6379')
    .describe(
      'Where the server listens, as the host sees it: redis://host:port, rediss:// for TLS, with user@ before the host for an ACL user. A replica is as good as its primary.',
    ),
  socket: file.optional().describe('The Unix socket of the server, instead of the host and port of the URL.'),
  password: secretSetting('The password: of the user in the URL, or of the default user (requirepass).').optional(),
  tls: z
    .strictObject({
      ca: file.optional().describe('Certificates to trust, a PEM file on this machine. Default: the well-known ones.'),
      certificate: file.optional().describe('Our own certificate, if the server asks for one: a PEM file.'),
      key: file.optional().describe('Its private key, a PEM file.'),
      serverName: z.string().optional().describe('The name in the certificate, if it is not the host of the URL.'),
    })
    .default({})
    .describe('For rediss:// URLs. The certificate is always checked.'),
  fingerprint: z
    .enum(['full', 'counts', 'off'])
    .default('full')
    .describe(
      'What drills compare: every value with its expiry, counts of keys only, or nothing but that a server loads the data. It is taken from the bytes as they pass.',
    ),
  serverProgram: file
    .optional()
    .describe(
      'The redis-server or valkey-server that drills start on this machine. Default: the one in PATH that suits the source.',
    ),
  image: z
    .string()
    .optional()
    .describe(
      'The container image for drills, where no program on this machine suits. Default: redis:<version> or valkey/valkey:<version> of the source.',
    ),
});

export type Settings = z.infer<typeof settings>;
