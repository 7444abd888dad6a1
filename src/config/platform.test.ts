import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { secretSetting } from '../base/secret-reference.ts';
import type { AnyDriver } from '../drivers/driver.ts';
import { ConfigError, type Declared, type Known, parseConfig, secretPlaces } from './index.ts';

const known: Known = {
  drivers: [
    {
      name: 'files',
      settings: z.strictObject({ paths: z.array(z.string()).min(1), token: secretSetting('x').optional() }),
    },
  ] as unknown as AnyDriver[],
  hostKinds: [],
  storageKinds: [{ name: 'local', urlForm: '/path', recognises: () => true }] as unknown as Known['storageKinds'],
  channelKinds: [
    { name: 'ntfy', settings: z.strictObject({ ntfy: z.string(), token: secretSetting('a token').optional() }) },
    { name: 'webhook', settings: z.strictObject({ webhook: z.string() }) },
  ],
};

const good = `
repositories:
  nas: { url: repo, password: { file: /pw }, prune: { schedule: "0 6 * * 0", maxTime: 2h }, workspace: shop }
policies:
  dumps: { every: 6h, repositories: [nas], window: { from: "01:00", to: "05:00", days: [sun] } }
  nightly:
    schedule: "0 2 * * *"
    after: dumps
    timeout: 6h
    catchUp: false
    retry: { attempts: 3 }
    repositories: [nas]
    drill: { after: [nightly, dumps] }
sources:
  shop: { driver: files, paths: [/srv], policy: nightly, workspace: shop }
restores:
  staging: { source: shop, schedule: "0 5 * * *", to: /staging }
notifications:
  phone: { ntfy: "https://x/y", token: { env: T }, on: ["drill.*", backup.failed], policies: [nightly], workspaces: shop }
workspaces: { shop: { title: Shop } }
users:
  anna: { email: anna@example.org, role: admin, roles: { shop: owner } }
`;

const load = (text: string, declared: readonly Declared[] = []) =>
  parseConfig('/etc/holdfast/holdfast.yaml', Buffer.from(text), known, { shown: 'holdfast.yaml', declared });

function errorsOf(text: string): string[] {
  try {
    load(text);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((one) => `${one.line}:${one.column} ${one.path} ${one.message} — ${one.remedy}`);
  }
}

const wrong = (from: string, to: string): string => {
  if (!good.includes(from)) throw new Error(`the text has no ${from}`);
  return errorsOf(good.replace(from, to))[0] ?? 'nothing is wrong';
};

describe('the platform in a configuration', () => {
  it('is typed, with units in its names and everything a list', () => {
    const config = load(good);
    expect(config.policies.get('dumps')).toMatchObject({
      everyMs: 21_600_000,
      window: { fromMinute: 60, toMinute: 300, days: [0] },
      after: [],
      catchUp: true,
    });
    expect(config.policies.get('nightly')).toMatchObject({
      after: ['dumps'],
      timeoutMs: 21_600_000,
      catchUp: false,
      retry: { attempts: 3, delayMs: 300_000 },
      drill: { after: ['nightly', 'dumps'], snapshot: 'latest' },
      workspace: 'default',
    });
    expect(config.repositories.get('nas')).toMatchObject({ prune: { maxTimeMs: 7_200_000 }, workspace: 'shop' });
    expect(config.sources.get('shop')?.workspace).toBe('shop');
    expect(config.restores.get('staging')).toMatchObject({ source: 'shop', to: '/staging', inPlace: false, after: [] });
    expect(config.notifications.get('phone')).toMatchObject({
      kind: 'ntfy',
      settings: { ntfy: 'https://x/y', token: { from: 'env', name: 'T' } },
      on: ['drill.*', 'backup.failed'],
      policies: ['nightly'],
      workspaces: ['shop'],
    });
    expect([...config.workspaces.keys()]).toEqual(['shop', 'default']);
    expect([...config.users.get('anna')!.roles]).toEqual([
      ['shop', 'owner'],
      ['*', 'admin'],
    ]);
    expect(config.warnings).toEqual([]);
  });

  it('has a server with defaults, and its secrets are references like all others', () => {
    expect(load(good).server).toEqual({
      listen: { host: '127.0.0.1', port: 8321 },
      trustedProxies: [],
      labels: false,
      limits: { runs: 4, perHost: 1, perRepository: 2 },
      history: { runsMs: 400 * 86_400_000, logsMs: 90 * 86_400_000, eventsMs: 400 * 86_400_000 },
      metrics: { open: false },
    });
    const config = load(`${good}server:
  listen: "[::1]:0"
  url: https://backup.example/
  catalogue: { postgres: "postgres://holdfast@db/holdfast", password: { env: DB } }
  key: { file: server.key }
  tls: { certificate: cert.pem, key: { file: /key.pem } }
  metrics: { textfile: holdfast.prom }
  limits: { runs: 8 }
  oidc:
    issuer: https://id.example
    clientId: holdfast
    clientSecret: hunter2hunter2
    roles: { admins: admin, devs: { shop: restorer } }
`);
    expect(config.server).toMatchObject({
      listen: { host: '::1', port: 0 },
      url: 'https://backup.example',
      catalogue: { kind: 'postgres', url: 'postgres://holdfast@db/holdfast', password: { from: 'env', name: 'DB' } },
      key: { from: 'file', path: '/etc/holdfast/server.key' },
      tls: { certificate: '/etc/holdfast/cert.pem', key: { from: 'file', path: '/key.pem' } },
      metrics: { open: false, textfile: '/etc/holdfast/holdfast.prom' },
      limits: { runs: 8, perHost: 1, perRepository: 2 },
      oidc: { clientSecret: { from: 'clear' }, groupsClaim: 'groups' },
    });
    expect([...config.server.oidc!.roles.get('devs')!]).toEqual([['shop', 'restorer']]);
    expect([...config.server.oidc!.roles.get('admins')!]).toEqual([['*', 'admin']]);
    expect(config.warnings.map((one) => one.path)).toEqual(['server.oidc.clientSecret']);
    expect(secretPlaces(config).map((one) => one.path)).toEqual([
      'repositories.nas.password',
      'notifications.phone.token',
      'server.key',
      'server.catalogue.password',
      'server.tls.key',
      'server.oidc.clientSecret',
    ]);
    expect(load(`${good}server: { catalogue: data/c.db }`).server.catalogue).toEqual({
      kind: 'sqlite',
      path: '/etc/holdfast/data/c.db',
    });
  });

  it('refuses what leads nowhere, with its place and a remedy', () => {
    expect(wrong('after: dumps', 'after: dumbs')).toBe(
      '8:12 policies.nightly.after names the policy «dumbs», which is not declared — Did you mean «dumps»?',
    );
    expect(wrong('every: 6h', 'every: 6h, after: nightly')).toContain('policies.dumps comes after itself');
    expect(wrong('[nightly, dumps]', '[nightly, weekly]')).toContain(
      'policies.nightly.drill.after[1] names the policy',
    );
    expect(wrong('source: shop,', 'source: shp,')).toContain('restores.staging.source names the source «shp»');
    expect(wrong('workspaces: shop }', 'workspaces: [shop, shop] }')).toContain('names the workspace «shop» twice');
    expect(wrong('policies: [nightly]', 'policies: [x]')).toContain(
      'notifications.phone.policies[0] names the policy «x»',
    );
    expect(wrong('roles: { shop: owner }', 'roles: { shpo: owner }')).toContain(
      'users.anna.roles.shpo names the workspace',
    );
    expect(wrong('policy: nightly, workspace: shop', 'policy: nightly, workspace: shopp')).toContain(
      'sources.shop.workspace names the workspace «shopp», which is not declared — Did you mean «shop»?',
    );
    expect(
      errorsOf(`${good}server: { oidc: { issuer: "https://x", clientId: a, roles: { g: { nn: viewer } } } }`)[0],
    ).toContain('server.oidc.roles.g.nn names the workspace «nn»');
  });

  it('refuses proxies that are no addresses: nobody would be told that they are not believed', () => {
    const proxies = (one: string) => errorsOf(`${good}server: { trustedProxies: ["${one}"] }`)[0] ?? 'nothing is wrong';
    for (const one of ['10.0.0', 'fe80', '10.0.0.0/33', '2001:db8::/129', '1.2.3.4:80']) {
      expect(proxies(one)).toContain('server.trustedProxies[0] is no IP address');
    }
    for (const one of ['10.0.0.0/8', '10.0.0.1/32', '2001:db8::/32', '::1']) expect(proxies(one)).toContain('nothing');
  });

  it('refuses what contradicts itself, is empty or unknown', () => {
    expect(wrong('every: 6h', 'every: 6h, schedule: "0 1 * * *"')).toContain('has both schedule and every');
    expect(wrong('every: 6h', 'every: 5s')).toContain('policies.dumps.every is less than a minute');
    expect(wrong('after: dumps', 'after:')).toContain('policies.nightly.after is empty');
    expect(wrong('to: /staging', 'to: /staging, inPlace: true')).toContain(
      'needs one of «to: PLACE» and «inPlace: true»',
    );
    expect(wrong('schedule: "0 5 * * *", to', 'to')).toContain('never comes');
    expect(wrong('backup.failed]', 'backup.faild]')).toContain('did you mean «backup.failed»?');
    expect(wrong('ntfy: "https://x/y"', 'nfty: "https://x/y"')).toContain(
      'notifications.phone does not say how it is sent — Write one of these keys: ntfy, webhook.',
    );
    expect(wrong('ntfy: "https://x/y"', 'ntfy: "https://x/y", webhook: x')).toContain('says twice how it is sent');
    expect(wrong('token: { env: T }', 'tokn: { env: T }')).toContain('notifications.phone.tokn is not known here');
    expect(wrong('token: { env: T }', 'token: ')).toContain('notifications.phone.token is empty');
    expect(wrong('role: admin, roles: { shop: owner }', '')).toContain('users.anna has no role');
    expect(wrong('role: admin', 'role: admn')).toContain('Did you mean «admin»?');
    expect(wrong('email: anna@example.org', 'email: anna')).toContain('users.anna.email must be an address');
    expect(errorsOf(`${good}server:`)[0]).toContain('server is empty');
    expect(errorsOf(`${good}server: { tls: { certificate: x } }`)[0]).toContain('server.tls.key is missing');
    expect(errorsOf(`${good}server: { listen: "8321" }`)[0]).toContain('server.listen is not an address with a port');
    expect(errorsOf(`${good}server: { oidc: }`)[0]).toContain('server.oidc is empty');
    expect(errorsOf(`${good}server: { limits: { runs: 0 } }`)[0]).toContain('server.limits.runs is below 1');
    expect(errorsOf(`${good}server: { lissten: x }`)[0]).toContain('Did you mean «listen»?');
  });
});

describe('entries that are not in the file', () => {
  const made = (section: string, name: string, value: unknown): Declared => ({
    section,
    name,
    value,
    origin: 'ui',
    title: 'made over the API',
  });

  it('are merged under it: the file wins, and the text of the whole means the same', () => {
    const declared = [
      made('sources', 'wiki', { driver: 'files', paths: ['/wiki'], policy: 'weekly' }),
      made('sources', 'shop', { driver: 'files', paths: ['/other'], policy: 'nightly' }),
      made('policies', 'weekly', { schedule: '0 1 * * 0', repositories: ['nas'] }),
      made('hosts', 'none', {}),
    ];
    const config = load(`# kept\n${good}`, declared.slice(0, 3));
    expect(config.sources.get('wiki')).toMatchObject({ placements: [{ repository: 'nas' }] });
    expect(config.sources.get('shop')?.settings).toMatchObject({ paths: ['/srv'] });
    expect([...config.origins]).toEqual([
      ['sources/wiki', 'ui'],
      ['policies/weekly', 'ui'],
    ]);
    expect(config.warnings.map((one) => `${one.line} ${one.path} ${one.message}`)).toEqual([
      '16 sources.shop is also made over the API, which counts for nothing beside the file',
    ]);
    const text = Buffer.from(config.bytes!).toString();
    expect(text).toContain('# kept');
    const again = load(text);
    for (const section of ['repositories', 'policies', 'sources', 'users', 'server'] as const) {
      expect(again[section]).toEqual(config[section]);
    }
  });

  it('never keep the file from being used: one that is wrong is left out, and what refers to it, too', () => {
    const config = load(good, [
      made('policies', 'weekly', { schedule: 'soon', repositories: ['nas'] }),
      made('sources', 'wiki', { driver: 'files', paths: ['/wiki'], policy: 'weekly' }),
      made('sources', 'fine', { driver: 'files', paths: ['/fine'], policy: 'nightly' }),
    ]);
    expect([...config.sources.keys()]).toEqual(['shop', 'fine']);
    expect(config.leftOut.map((one) => `${one.file} ${one.path} ${one.message}`)).toEqual([
      'made over the API policies.weekly.schedule is not a schedule: it has 1 field(s) where five are needed',
      'made over the API sources.wiki.policy names the policy «weekly», which is not declared',
    ]);
    expect(() => load(good.replace('policy: nightly, ', 'policy: weekly, '), [])).toThrow(ConfigError);
  });
});
