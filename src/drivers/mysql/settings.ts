/** Settings of a MySQL or MariaDB source. */
import { z } from 'zod';
import { secretSetting } from '../../base/secret-reference.ts';
import type { Address } from '../../hosts/host.ts';

const file = z.string().startsWith('/', 'an absolute path');
const urlForm = /^(?:mysql|mariadb):\/\/(?:[^@/:?#]+@)?(?:\[[0-9a-fA-F:.]+\]|[^@/:?#[\]]+)(?::\d{1,5})?(?:\/[^/?#]*)?$/;

export const settings = z.strictObject({
  url: z
    .string()
    .regex(urlForm, {
      error:
        'is not like mysql://user@host:3306/database (the password goes under «password»; the database is optional)',
    })
    .default('mysql://root@localhost:3306')
    .describe(
      'Where the server listens, as the host sees it: mysql://user@host:port or mariadb://…, with /database for a single one. Characters with a meaning in URLs are written %40.',
    ),
  socket: file.optional().describe('The Unix socket of the server, instead of the host and port of the URL.'),
  password: secretSetting('The password of the user in the URL.').optional(),
  tls: z
    .strictObject({
      mode: z
        .enum(['verify', 'unverified', 'off'])
        .default('verify')
        .describe('verify: encrypted, and the certificate is checked; unverified: encrypted only; off: neither.'),
      ca: file.optional().describe('Certificates to trust, a PEM file on this machine. Default: the well-known ones.'),
      certificate: file.optional().describe('Our own certificate, if the server asks for one: a PEM file.'),
      key: file.optional().describe('Its private key, a PEM file.'),
      serverName: z.string().optional().describe('The name in the certificate, if it is not the host of the URL.'),
    })
    .optional()
    .describe('Encrypts the connection; `tls: {}` checks the certificate. Without it the connection is not encrypted.'),
  databases: z
    .union([z.literal('all'), z.array(z.string().min(1)).min(1)])
    .optional()
    .describe(
      'Which databases: all, or a list of names and patterns (`shop`, `tenant_*`). Default: the one of the URL, else all. The server’s own (mysql, sys, …) are never among them.',
    ),
  exclude: z.array(z.string().min(1)).default([]).describe('Databases to leave out, names and patterns.'),
  excludeTables: z
    .array(z.string().min(1))
    .default([])
    .describe('Tables to leave out altogether: `database.table`, with patterns (`shop.tmp_*`, `*.cache`).'),
  excludeTableData: z
    .array(z.string().min(1))
    .default([])
    .describe('Tables whose definition is kept and whose rows are not: `database.table`, with patterns.'),
  users: z
    .boolean()
    .default(true)
    .describe('Keep accounts, roles and grants too (with password hashes), in users.sql.'),
  nonTransactional: z
    .enum(['lock', 'refuse', 'ignore'])
    .default('lock')
    .describe(
      'Tables whose engine has no transactions (MyISAM, Aria, MEMORY, …) cannot be read as of one moment while they are written. lock: writers to them wait until they are read, and they are read first; refuse: the backup fails; ignore: they are read as they are, and the snapshot says so.',
    ),
  lockWaitSeconds: z
    .number()
    .int()
    .min(1)
    .max(60)
    .default(2)
    .describe(
      'How long the backup may wait for the short lock that lines its connections up. Other statements may wait behind it as long, so it is small; it is tried three times.',
    ),
  fingerprint: z
    .enum(['full', 'counts', 'off'])
    .default('full')
    .describe(
      'What drills compare: every value of every row, row counts only, or nothing but that a server loads the data. It is taken from the rows as they pass.',
    ),
  binDirectory: file
    .optional()
    .describe('Where drills find the server program (mariadbd, mysqld) on this machine. Default: PATH and /usr/sbin.'),
  image: z
    .string()
    .optional()
    .describe(
      'The container image for drills, where no server program on this machine suits. Default: mariadb:<series> or mysql:<series> of the source.',
    ),
});

export type Settings = z.infer<typeof settings>;

/** A server as settings or a target describe it. */
export interface Place {
  readonly address: Address;
  /** The name a certificate must have. */
  readonly hostName: string;
  /** Without a password: `db.example:3306`. */
  readonly title: string;
  readonly user: string;
  readonly database?: string;
}

const defaultPort = 3306;

export function placeOf({ url, socket }: Pick<Settings, 'url' | 'socket'>): Place {
  const { hostname, port, username, pathname } = new URL(url);
  const hostName = hostname.replace(/^\[|\]$/g, '');
  const user = username === '' ? 'root' : decodeURIComponent(username);
  const database = pathname.length > 1 ? { database: decodeURIComponent(pathname.slice(1)) } : {};
  if (socket !== undefined) return { address: { socketPath: socket }, hostName, title: socket, user, ...database };
  const address = { host: hostName, port: port === '' ? defaultPort : Number(port) };
  return { address, hostName, title: `${hostname}:${address.port}`, user, ...database };
}

/** True if a restore's target is the URL of a server and not the name of a database. */
export function isUrl(target: string): boolean {
  return urlForm.test(target);
}
