/** Settings of a MongoDB source. */
import { z } from 'zod';
import { secretSetting } from '../../base/secret-reference.ts';

const file = z.string().startsWith('/', 'an absolute path');
const address = String.raw`(?:\[[0-9a-fA-F:.]+\]|[^@/:?#,[\]]+)(?::\d{1,5})?`;
const url = new RegExp(
  String.raw`^mongodb(?:\+srv)?://(?:[^@/:?#]+@)?${address}(?:,${address})*(?:/[^?#]*)?(?:\?[^#]*)?$`,
);

export const settings = z.strictObject({
  url: z
    .string()
    .regex(url, {
      error: 'is not like mongodb://user@host:27017,other:27017/?replicaSet=rs0 (the password goes under «password»)',
    })
    .default('mongodb://127.0.0.1:27017')
    .describe(
      'Where the server listens, as the host sees it; several members of a replica set apart by comma, or mongodb+srv://name. Of its options, replicaSet, authSource, authMechanism and tls are heeded.',
    ),
  socket: file.optional().describe('The Unix socket of the server, instead of the addresses of the URL.'),
  password: secretSetting('The password of the user in the URL.').optional(),
  tls: z
    .strictObject({
      ca: file.optional().describe('Certificates to trust, a PEM file on this machine. Default: the well-known ones.'),
      certificateKey: file.optional().describe('Our own certificate and its private key in one PEM file.'),
      serverName: z.string().optional().describe('The name in the certificate, if it is not the host of the URL.'),
    })
    .default({})
    .describe('For ?tls=true and mongodb+srv. The certificate is always checked.'),
  databases: z
    .union([z.literal('all'), z.array(z.string()).min(1)])
    .default('all')
    .describe('Names of databases, with * and ?, or `all`: then users and roles are backed up too.'),
  exclude: z.array(z.string()).default([]).describe('Databases to leave out, with * and ?.'),
  excludeCollections: z
    .array(z.string().includes('.', { error: 'is not like database.collection' }))
    .default([])
    .describe('Collections to leave out, as database.collection with * and ?.'),
  readPreference: z
    .enum(['primary', 'primaryPreferred', 'secondary', 'secondaryPreferred', 'nearest'])
    .default('secondaryPreferred')
    .describe('Which member of a replica set is read. All of a backup is read from one member.'),
  consistency: z
    .enum(['auto', 'snapshot', 'oplog', 'none'])
    .default('auto')
    .describe(
      'How all collections come from one instant. `snapshot`: reads at one cluster time (replica sets, 5.0 and newer). `oplog`: what was written meanwhile is stored and replayed by a restore (replica sets). `none`: each collection as it is when it is read. `auto`: the first of them that the server offers.',
    ),
  fingerprint: z
    .enum(['full', 'counts', 'off'])
    .default('full')
    .describe(
      'What drills compare: every document, byte by byte; only counts, options and indexes; or nothing but that a server takes the data.',
    ),
  serverProgram: file
    .optional()
    .describe(
      'The mongod that drills start on this machine. Default: the one that suits, in PATH and the usual places.',
    ),
  image: z
    .string()
    .optional()
    .describe(
      'The container image for drills, where no program on this machine suits. Default: mongo:<version> of the source.',
    ),
});

export type Settings = z.infer<typeof settings>;
