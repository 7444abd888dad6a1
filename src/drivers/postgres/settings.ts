/** Settings of a PostgreSQL source. */
import { z } from 'zod';
import { secretSetting } from '../../base/secret-reference.ts';

const file = z.string().startsWith('/', 'an absolute path');
const globs = z.array(z.string().min(1)).default([]);

export const settings = z.strictObject({
  url: z
    .string()
    .regex(/^postgres(?:ql)?:\/\//, { error: 'is not like postgres://user@host:5432/database' })
    .refine((url) => !/^[^/]*:\/\/[^/@]*:[^@/]*@/.test(url), {
      error: 'holds a password: put it under «password» instead, as a reference, and remove it from the URL',
    })
    .refine(
      (url) =>
        /^postgres(?:ql)?:\/\/(?:[^@/:?#]+@)?(?:\[[0-9a-fA-F:.]+\]|[^@/:?#[\]]*)(?::\d{1,5})?(?:\/[^/?#]*)?$/.test(url),
      {
        error: 'is not like postgres://user@host:5432/database (other settings have keys of their own)',
      },
    )
    .describe(
      'Where the server listens, as the host sees it: postgres://user@host:port/database. Characters that mean something in URLs are percent-encoded (a slash is %2F).',
    ),
  socket: file
    .optional()
    .describe('The directory of the server’s Unix socket, e.g. /var/run/postgresql, instead of the host in the URL.'),
  password: secretSetting('The password of the user in the URL.').optional(),
  tls: z
    .strictObject({
      mode: z
        .enum(['disable', 'prefer', 'require', 'verify-ca', 'verify-full'])
        .default('prefer')
        .describe('As libpq’s sslmode.'),
      ca: file
        .optional()
        .describe('Certificates to trust, a PEM file on this machine; verify-ca and verify-full need it.'),
      certificate: file.optional().describe('Our own certificate, if the server asks for one: a PEM file.'),
      key: file.optional().describe('Its private key, a PEM file.'),
    })
    .refine(({ mode, ca }) => !mode.startsWith('verify') || ca !== undefined, {
      error: 'verify-ca and verify-full need «ca»',
    })
    .default({ mode: 'prefer' })
    .describe('Encryption of the connection. Over a Unix socket there is none.'),
  databases: z
    .union([z.literal('all'), z.array(z.string().min(1)).min(1)])
    .optional()
    .describe(
      'Instead of the one database in the URL: all, or patterns with * and ?. Every database is one moment of its own.',
    ),
  exclude: globs.describe('Patterns of databases to leave out.'),
  globals: z.boolean().default(true).describe('Whether roles and tablespaces are stored too.'),
  schemas: globs.describe('Patterns of schemas; only these are stored.'),
  excludeSchemas: globs.describe('Patterns of schemas to leave out.'),
  tables: globs.describe('Patterns of tables as schema.table; only these are stored, without functions and types.'),
  excludeTables: globs.describe('Patterns of tables to leave out, as schema.table.'),
  excludeTableData: globs.describe('Patterns of tables whose definition is stored, but no rows.'),
  format: z
    .enum(['custom', 'directory'])
    .default('custom')
    .describe(
      'custom: one stream, no room needed. directory: tables in parallel, through a private folder on this machine with room for the whole dump.',
    ),
  jobs: z
    .number()
    .int()
    .min(1)
    .max(64)
    .default(2)
    .describe('Connections of a parallel dump or restore, and of the fingerprint.'),
  fingerprint: z
    .enum(['full', 'counts', 'off'])
    .default('full')
    .describe('What drills compare: every row of every table, row counts only, or nothing but that the dump restores.'),
  client: z
    .enum(['auto', 'local', 'host'])
    .default('auto')
    .describe(
      'Where pg_dump and pg_restore run: on this machine, or on the host of the source. auto: here if there is a suitable version.',
    ),
  binDirectory: z
    .union([file.transform((one) => [one]), z.array(file).min(1)])
    .optional()
    .describe('Where PostgreSQL’s programs are, before PATH and the usual places; one directory or several.'),
  lockTimeoutMs: z
    .number()
    .int()
    .positive()
    .default(300_000)
    .describe('How many milliseconds to wait for a table that another session holds exclusively.'),
  spoolDirectory: file
    .optional()
    .describe('Where format directory makes its private folder. Default: the directory for temporary files.'),
  image: z
    .string()
    .optional()
    .describe(
      'The container image for drills, where no server program here suits. Default: postgres of the source’s version.',
    ),
});

export type Settings = z.infer<typeof settings>;
