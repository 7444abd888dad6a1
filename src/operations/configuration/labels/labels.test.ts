import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parseConfig } from '../../../config/index.ts';
import { drivers } from '../../../drivers/registry.ts';
import type { ContainerEngine, SeenContainer } from '../../../hosts/host.ts';
import { hostKinds } from '../../../hosts/registry.ts';
import { channelKinds } from '../../../notify/registry.ts';
import { storageKinds } from '../../../storage/registry.ts';
import { readLabels } from './label-tree.ts';
import { readContainerLabels, readContainerSecret } from './read-containers.ts';

const known = { drivers, hostKinds, storageKinds, channelKinds };
const file = Buffer.from(`
repositories: { nas: { url: /nas, password: { env: PW } } }
policies: { nightly: { schedule: "0 2 * * *", repositories: [nas] } }
`);

interface Described {
  readonly description?: string;
}

interface Stand {
  readonly name: string;
  readonly image?: string;
  readonly service?: string;
  readonly labels: Record<string, string>;
  readonly environment?: Record<string, string>;
  readonly mounts?: readonly string[];
}

const engineWith = (...stands: readonly Stand[]) => {
  const containers = stands.map(
    ({ name, image = 'postgres:17', service, labels, mounts = [] }): SeenContainer => ({
      ...{ id: name, name, image, labels, isRunning: true, ports: [], addresses: [] },
      ...(service === undefined ? {} : { service }),
      mounts: mounts.map((inside) => ({ from: `/var/lib/docker/volumes/x`, inside, volume: 'x' })),
    }),
  );
  const engine = {
    look: async () => ({ containers, volumes: [] }),
    environment: async (wanted: string) =>
      new Map(Object.entries(stands.find((one) => one.name === wanted)?.environment ?? {})),
    close: async () => undefined,
  } as unknown as ContainerEngine;
  return { openContainers: async () => engine };
};

async function configOf(...stands: readonly Stand[]) {
  const { declared, problems } = await readContainerLabels(engineWith(...stands));
  const config = parseConfig('/etc/holdfast.yaml', file, known, { declared });
  const errors = [...problems, ...config.leftOut].map(
    (one) => `${one.file}: ${one.path} ${one.message} — ${one.remedy}`,
  );
  return { config, errors, declared };
}

describe('labels of containers', () => {
  it('declare a source from little: the image says the rest, and its password stays in its environment', async () => {
    const { config, errors, declared } = await configOf({
      name: 'shop-db-1',
      service: 'shop/db',
      labels: { 'holdfast.policy': 'nightly', 'com.docker.compose.project': 'shop' },
      environment: { POSTGRES_USER: 'shop@x', POSTGRES_PASSWORD: 'geheim-geheim' },
    });
    expect(errors).toEqual([]);
    expect(config.sources.get('db')).toMatchObject({
      driver: 'postgres',
      host: 'container-db',
      policy: 'nightly',
      settings: {
        url: 'postgres://shop%40x@127.0.0.1:5432/shop%40x',
        password: { from: 'container', container: 'shop/db', variable: 'POSTGRES_PASSWORD' },
      },
    });
    expect(config.hosts.get('container-db')).toMatchObject({ kind: 'docker', settings: { docker: 'shop/db' } });
    expect(config.origins.get('sources/db')).toBe('label');
    expect(JSON.stringify(declared)).not.toContain('geheim');
  });

  it('say settings with dots, lists and truth, and win over what the image says', async () => {
    const { config, errors } = await configOf(
      {
        name: 'maria',
        image: 'docker.io/library/mariadb:11',
        labels: {
          'holdfast.policy': 'nightly',
          'holdfast.name': 'wiki',
          'holdfast.excludeTables': '[wiki.cache, "*.tmp"]',
          'holdfast.users': 'false',
        },
        environment: { MARIADB_ROOT_PASSWORD: 'geheim-geheim' },
      },
      {
        name: 'app',
        image: 'example/app',
        labels: { 'holdfast.driver': 'files', 'holdfast.policy': 'nightly', 'holdfast.exclude': '["*.log"]' },
        mounts: ['/data', '/config'],
      },
      {
        name: 'cache',
        image: 'valkey/valkey:8',
        labels: { 'holdfast.enable': 'true', 'holdfast.repository': 'nas', 'holdfast.password.container': 'MY_PW' },
      },
      { name: 'off', labels: { 'holdfast.enable': 'false', 'holdfast.policy': 'nightly' } },
      { name: 'other', image: 'x', labels: { 'com.example': 'y' } },
    );
    expect(errors).toEqual([]);
    expect([...config.sources.keys()]).toEqual(['app', 'cache', 'wiki']);
    expect(config.sources.get('wiki')?.settings).toMatchObject({
      url: 'mariadb://root@127.0.0.1:3306',
      databases: 'all',
      excludeTables: ['wiki.cache', '*.tmp'],
      users: false,
    });
    expect(config.sources.get('app')?.settings).toMatchObject({ paths: ['/data', '/config'], exclude: ['*.log'] });
    expect(config.sources.get('cache')?.settings).toMatchObject({
      password: { container: 'cache', variable: 'MY_PW' },
    });
  });

  it('are refused by container and label, and never keep the others from being used', async () => {
    const { config, errors } = await configOf(
      { name: 'a', labels: { 'holdfast.policy': 'nigthly' } },
      { name: 'b', labels: { 'holdfast.policy': 'nightly', 'holdfast.jobs': 'many' } },
      { name: 'c', image: 'example/thing', labels: { 'holdfast.enable': 'true' } },
      { name: 'd', labels: { 'holdfast.enable': 'yes', 'holdfast.policy': 'nightly' } },
      { name: 'e', labels: { 'holdfast.policy': 'nightly', 'holdfast.name': 'good' } },
      { name: 'f', labels: { 'holdfast.policy': 'nightly', 'holdfast.name': 'good' } },
      { name: 'g', labels: { 'holdfast.poliyc': 'nightly', 'holdfast.policy': 'nightly' } },
    );
    expect([...config.sources.keys()]).toEqual(['good']);
    expect(errors).toEqual([
      'container c: label holdfast.driver is missing, and the image does not tell what is in it — Write holdfast.driver=postgres, files, sqlite, …',
      'container d: label holdfast.enable is «yes» — Write true or false.',
      'container f: label holdfast.name names «good», which another container has already — Give it a name of its own with this label.',
      'container b: label holdfast.jobs must be a number, not the text "many" — Expected: Connections of a parallel dump or restore, and of the fingerprint.',
      expect.stringContaining('container g: label holdfast.poliyc is not known here'),
      'container a: label holdfast.policy names the policy «nigthly», which is not declared — Did you mean «nightly»?',
    ]);
  });

  it('reach only the inside of their own container', async () => {
    const attempt = (labels: Record<string, string>) =>
      configOf({ name: 'evil', image: 'example/evil', labels: { 'holdfast.policy': 'nightly', ...labels } });
    const tries: Record<string, string>[] = [
      { 'holdfast.driver': 'command', 'holdfast.command': '[sh, -c, id]', 'holdfast.host': 'local' },
      { 'holdfast.driver': 'files', 'holdfast.paths': '[/]', 'holdfast.window.before': '[{ run: [id] }]' },
      { 'holdfast.driver': 'postgres', 'holdfast.url': 'postgres://a@b/c', 'holdfast.password.file': '/etc/shadow' },
      { 'holdfast.driver': 'postgres', 'holdfast.url': 'postgres://a@b/c', 'holdfast.password': '{ command: [id] }' },
      {
        'holdfast.driver': 'postgres',
        'holdfast.url': 'postgres://a@b/c',
        'holdfast.password': '{ env: HOLDFAST_PASSWORD }',
      },
      { 'holdfast.driver': 'command', 'holdfast.command': '[x]', 'holdfast.secrets': '{ A: { file: /etc/shadow } }' },
      { 'holdfast.driver': 'postgres', 'holdfast.url': 'postgres://a@b/c', 'holdfast.binDirectory': '/evil' },
      { 'holdfast.driver': 'command', 'holdfast.command': '[x]', 'holdfast.verify': '[sh, -c, id]' },
      { 'holdfast.driver': 'files', 'holdfast.__proto__.x': 'y', 'holdfast.paths': '[/]' },
      { 'holdfast.driver': 'files', 'holdfast.paths': '{ "__proto__": { "x": 1 } }' },
    ];
    for (const labels of tries) {
      const { config, errors } = await attempt(labels);
      expect(errors, JSON.stringify(labels)).not.toEqual([]);
      expect(config.sources.size).toBe(0);
    }
    const other = await attempt({
      'holdfast.driver': 'postgres',
      'holdfast.url': 'postgres://a@b/c',
      'holdfast.password': '{ container: "victim#PW" }',
    });
    expect(other.config.sources.get('evil')?.settings).toMatchObject({
      password: { container: 'evil', variable: 'PW' },
    });
    expect(other.config.sources.get('evil')?.host).toBe('container-evil');
  });

  it('reach no other container by saying that they are its service', async () => {
    const { config } = await configOf(
      { name: 'shop-db-1', service: 'shop/db', labels: {} },
      {
        name: 'evil',
        service: 'shop/db',
        image: 'example/evil',
        labels: {
          ...{ 'holdfast.driver': 'command', 'holdfast.command': '[id]', 'holdfast.policy': 'nightly' },
          'holdfast.secrets': '{ A: { container: PW } }',
        },
      },
    );
    const [source] = config.sources.values();
    expect(config.hosts.get(source.host)?.settings).toEqual({ docker: 'evil' });
    expect(source.settings).toMatchObject({ secrets: { A: { container: 'evil', variable: 'PW' } } });
  });

  it('are of their own container however long its name is', async () => {
    const start = 'a-customer-whose-environment-has-a-name-that-is-long-database-';
    const [one, two] = [`${start}1`, `${start}2`];
    const { config, errors } = await configOf(
      { name: one, labels: { 'holdfast.policy': 'nightly' } },
      { name: two, labels: { 'holdfast.policy': 'nightly' } },
    );
    expect(errors).toEqual([]);
    const reached = [one, two].map((name) => config.hosts.get(config.sources.get(name)!.host)?.settings);
    expect(reached).toEqual([{ docker: one }, { docker: two }]);
  });

  it('set nothing that a driver says is of this machine', () => {
    // Whether something is done there, not what or where.
    const harmless = ['postgres.format', 'sqlite.copyFirst', 'sqlite.hold'];
    const allowed = drivers.flatMap(({ name, settings }) => {
      const { properties = {} } = z.toJSONSchema(settings, { io: 'input', unrepresentable: 'any' });
      const here = Object.entries(properties).filter(([, one]) =>
        /this machine/.test(String((one as Described).description)),
      );
      const taken = here.filter(([key]) => readLabels({ [`holdfast.${key}`]: 'x' }).faults.length === 0);
      return taken.map(([key]) => `${name}.${key}`);
    });
    expect(allowed.filter((one) => !harmless.includes(one))).toEqual([]);
  });

  it('have their secrets read when they are needed, and say what is not there', async () => {
    const uses = engineWith({ name: 'db', labels: {}, environment: { PW: 'geheim' } });
    expect((await readContainerSecret(uses, 'db', 'PW')).reveal()).toBe('geheim');
    await expect(readContainerSecret(uses, 'db', 'NONE')).rejects.toMatchObject({ code: 'secret.unavailable' });
    await expect(readContainerLabels({ openContainers: async () => undefined })).rejects.toMatchObject({
      code: 'host.unreachable',
    });
  });
});
