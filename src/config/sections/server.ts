/** `server:`. */
import { isIP } from 'node:net';
import { z } from 'zod';
import { secretSetting } from '../../base/secret-reference.ts';
import { expandPath } from '../expand-path.ts';
import type { CatalogueSetting, ServerConfig } from '../platform-config.ts';
import type { Reading } from '../reading.ts';
import { durationText } from '../schemas/duration-schema.ts';
import { listenAddress, name } from '../schemas/fields.ts';
import { role, rolesAnywhere } from './people.ts';
import { isMapping } from './section.ts';
import { checkSettings } from './settings.ts';

const dayMs = 86_400_000;
const count = z.int().min(1).max(1000);

const webUrl = z
  .string()
  .regex(/^https?:\/\/[^\s/?#]+[^\s?#]*$/, 'an address like https://backup.example')
  .describe('an address like https://backup.example');

const networkForm = 'an IP address or a network like 10.0.0.0/8';
const notNetwork = 'is no IP address and no network';
const network = z
  .string()
  .regex(/^[0-9a-fA-F:.]+(?:\/\d{1,3})?$/, notNetwork)
  .refine(isNetwork, notNetwork)
  .describe(networkForm);

const catalogue = z.union([
  name,
  z.strictObject({
    postgres: z.string().regex(/^postgres(?:ql)?:\/\//, 'an address like postgres://holdfast@db/holdfast'),
    password: secretSetting('the password of its user').optional(),
  }),
]);

const oidc = z.strictObject({
  issuer: webUrl,
  clientId: name.describe('as the provider knows this server'),
  clientSecret: secretSetting('{ env: NAME } or { file: /path }').optional(),
  scopes: z.array(name).default(['openid', 'profile', 'email']).describe('a list like [openid, profile, email]'),
  defaultRole: role.optional(),
  groupsClaim: name.default('groups').describe('the claim that holds the groups'),
  roles: z
    .record(name, rolesAnywhere)
    .default({})
    .describe('a role by group, like { backup-admins: admin, devs: { shop: restorer } }'),
  linkByEmail: z
    .boolean()
    .default(false)
    .describe('whether an account with the same verified e-mail address is theirs'),
});

export const serverSection = z.strictObject({
  listen: listenAddress.default({ host: '127.0.0.1', port: 8321 }),
  url: webUrl.optional(),
  catalogue: catalogue
    .optional()
    .describe('a file, or { postgres: "postgres://holdfast@db/holdfast", password: { env: NAME } }'),
  key: secretSetting('{ file: /path }: seals the secrets that are stored').optional(),
  tls: z
    .strictObject({
      certificate: name.describe('a file in PEM'),
      key: secretSetting('{ file: /path }'),
    })
    .optional()
    .describe('{ certificate: /path, key: { file: /path } }'),
  trustedProxies: z.array(network).default([]).describe('a list like [127.0.0.1]'),
  agents: z
    .strictObject({
      listen: listenAddress,
      names: z.array(name).min(1).describe('names by which agents reach this server, a list'),
    })
    .optional()
    .describe('{ listen: "0.0.0.0:8322", names: [backup.example] }'),
  labels: z.boolean().default(false).describe('true: labels of this machine’s containers declare sources, too'),
  limits: z
    .strictObject({ runs: count.default(4), perHost: count.default(1), perRepository: count.default(2) })
    .prefault({})
    .describe('{ runs: 4, perHost: 1, perRepository: 2 }'),
  history: z
    .strictObject({
      runs: durationText.default(400 * dayMs),
      logs: durationText.default(90 * dayMs),
      events: durationText.default(400 * dayMs),
    })
    .prefault({})
    .describe('{ runs: 400d, logs: 90d, events: 400d }'),
  metrics: z
    .strictObject({
      open: z.boolean().default(false).describe('true: answered without a token'),
      textfile: name.optional().describe('a file for node_exporter that ends in .prom'),
    })
    .prefault({})
    .describe('{ open: false, textfile: /var/lib/node_exporter/holdfast.prom }'),
  oidc: oidc.optional().describe('{ issuer: https://id.example, clientId: holdfast, clientSecret: { env: NAME } }'),
});

function isNetwork(text: string): boolean {
  const [address, prefix = '0'] = text.split('/');
  const family = isIP(address);
  return family !== 0 && Number(prefix) <= (family === 4 ? 32 : 128);
}

export function readServer(reading: Reading): ServerConfig {
  const given = 'server' in reading.value ? reading.value.server : {};
  const path = ['server'];
  const checked = isMapping(given)
    ? checkSettings(reading, serverSection, given, { path, general: [] })?.value
    : void reading.check(serverSection, given, path);
  // What is wrong was reported, and nothing is used of a configuration with errors.
  return checked ? serverOf(checked, reading.folder) : defaultServer();
}

export function defaultServer(): ServerConfig {
  return serverOf(serverSection.parse({}), '/');
}

function serverOf(section: z.infer<typeof serverSection>, folder: string): ServerConfig {
  const { catalogue, history, metrics, tls, oidc, url, ...rest } = section;
  const place = (text: string): string => expandPath(text, folder);
  return {
    ...rest,
    ...(url === undefined ? {} : { url: url.replace(/\/+$/, '') }),
    ...(catalogue === undefined ? {} : { catalogue: catalogueAt(catalogue, place) }),
    ...(tls ? { tls: { ...tls, certificate: place(tls.certificate) } } : {}),
    history: { runsMs: history.runs, logsMs: history.logs, eventsMs: history.events },
    metrics: {
      open: metrics.open,
      ...(metrics.textfile === undefined ? {} : { textfile: place(metrics.textfile) }),
    },
    ...(oidc ? { oidc: { ...oidc, roles: new Map(Object.entries(oidc.roles)) } } : {}),
  };
}

function catalogueAt(given: z.infer<typeof catalogue>, place: (text: string) => string): CatalogueSetting {
  if (typeof given === 'string') return { kind: 'sqlite', path: place(given) };
  return { kind: 'postgres', url: given.postgres, ...(given.password ? { password: given.password } : {}) };
}
