/** What may stand in an entry with `email:`. */
import { z } from 'zod';
import { secretSetting } from '../../base/secret-reference.ts';
import { caSetting } from '../fields.ts';

/** `name@host`, or `Name <name@host>`; no line ends, which would be further headers. */
const address = z
  .string()
  .regex(/^(?:[^<>\p{Cc}]+ <[^\s<>@]+@[^\s<>@]+>|[^\s<>@,;]+@[^\s<>@,;]+)$/u, { error: 'is no e-mail address' });

export const settings = z.strictObject({
  email: z
    .strictObject({
      smtp: z
        .string()
        .regex(/^smtps?:\/\/(?:[^@/?#\s]+@)?(?:\[[0-9a-fA-F:.]+\]|[^@/:?#[\]\s]+)(?::\d{1,5})?\/?$/, {
          error: 'is not like smtps://user@host:465 (the password goes under «password»)',
        })
        .refine((url) => !/^smtps?:\/\/[^@/]*:[^@/]*@/.test(url), 'holds a password, which goes under «password»')
        .describe(
          'The mail server: smtps://user@host (TLS from the start, port 465) or smtp://user@host (STARTTLS, port 587; 25 without a user). An @ within the user is written %40.',
        ),
      password: secretSetting('The password of the user.').optional(),
      starttls: z
        .enum(['required', 'offered', 'never'])
        .default('required')
        .describe(
          'With smtp://: required, offered (only if the server has it), or never (a relay on this machine). Default: required.',
        ),
      from: address.describe('Who sends: backup@example.com, or Holdfast <backup@example.com>.'),
      to: z
        .union([address.transform((one) => [one]), z.array(address).min(1).max(50)])
        .describe('Who is told: one address, or a list.'),
      ca: caSetting,
      serverName: z.string().min(1).optional().describe('The name in the certificate, if it is not the host.'),
    })
    .describe('{ smtp: …, password: …, from: …, to: […] }.'),
});

export type Settings = z.infer<typeof settings>;
