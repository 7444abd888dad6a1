/**
 * Sources that nothing but the labels of their containers declare: a PostgreSQL whose password stands in its environment, and
 * a Redis. Backed up, drilled and restored by the program, and taken up by a server that runs.
 */
import { spawnSync } from 'node:child_process';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { createLog } from '../../src/base/log.ts';
import type { Secret } from '../../src/base/secrets.ts';
import { openCatalogue } from '../../src/catalogue/open.ts';
import { drivers } from '../../src/drivers/registry.ts';
import { openContainerEngine } from '../../src/hosts/docker/index.ts';
import { hostKinds, localHost } from '../../src/hosts/registry.ts';
import { channelKinds } from '../../src/notify/registry.ts';
import { ConfigStore } from '../../src/operations/configuration/config-store.ts';
import { readContainerLabels } from '../../src/operations/configuration/labels/read-containers.ts';
import { withContainerSecrets } from '../../src/operations/configuration/labels/with-labels.ts';
import { storageKinds } from '../../src/storage/registry.ts';
import { program, Trial } from '../e2e/trial.ts';
import { type Podman, startPodman } from '../servers/podman.ts';
import { initCheaply } from '../support/cheap-repository.ts';

const password = 'only-in-the-environment-5';
const repositoryPassword = 'a password for the repository';
const bin = '/usr/lib/postgresql/15/bin';

let podman: Podman;
let trial: Trial;
let image: string;

beforeAll(async () => {
  podman = await startPodman({ hostPrograms: true });
  image = await podman.importHostImage();
  trial = new Trial();
  trial.write(
    'holdfast.yaml',
    [
      'server: { labels: true }',
      `repositories: { nas: { url: ${trial.path('repository')}, password: { env: LABELS_PW } } }`,
      'policies: { nightly: { schedule: "0 2 * * *", repositories: [nas], drill: { schedule: "0 6 * * 0" } } }',
      '',
    ].join('\n'),
  );
  await initCheaply(trial.path('repository'), repositoryPassword);
  await startDatabase();
  const labels = [
    '--label',
    'holdfast.enable=true',
    '--label',
    'holdfast.driver=redis',
    '--label',
    'holdfast.policy=nightly',
  ];
  await podman.command(
    'run',
    '--detach',
    '--name',
    'cache',
    '--network',
    'none',
    ...labels,
    image,
    'redis-server',
    '--save',
    '',
  );
}, 180_000);
afterAll(async () => {
  await podman?.[Symbol.asyncDispose]();
  trial?.dispose();
});

/** As the official image does: a user and a database of the environment's, its password asked for. */
async function startDatabase(): Promise<void> {
  const labels = {
    'com.docker.compose.project': 'shop',
    'com.docker.compose.service': 'db',
    'holdfast.driver': 'postgres',
    'holdfast.policy': 'nightly',
    'holdfast.globals': 'false',
    'holdfast.jobs': '1',
  };
  const user = 'setpriv --reuid=postgres --regid=postgres --clear-groups';
  const script = `mkdir -m 700 /srv/data; chown postgres:postgres /srv/data; cd /srv/data; printf %s "$POSTGRES_PASSWORD" >/tmp/pw; chown postgres /tmp/pw
    ${user} ${bin}/initdb -D /srv/data -U shop -A scram-sha-256 --pwfile=/tmp/pw -N -E UTF8 --locale=C >/dev/null; rm /tmp/pw
    exec ${user} ${bin}/postgres -D /srv/data -c listen_addresses=127.0.0.1 -c unix_socket_directories=/tmp -c fsync=off`;
  const flags = Object.entries(labels).flatMap(([name, value]) => ['--label', `${name}=${value}`]);
  const environment = ['--env', 'POSTGRES_USER=shop', '--env', `POSTGRES_PASSWORD=${password}`];
  await podman.command(
    'run',
    '--detach',
    '--name',
    'shop-db-1',
    '--network',
    'none',
    ...flags,
    ...environment,
    image,
    'sh',
    '-c',
    script,
  );
  for (let attempt = 0; !(await sql('SELECT 1').catch(() => undefined)); attempt++) {
    if (attempt > 200) throw new Error(await podman.command('logs', 'shop-db-1'));
    await setTimeout(100);
  }
  await sql('CREATE DATABASE shop').catch(() => undefined);
  await sql('CREATE TABLE account AS SELECT i AS id, i * 7 AS balance FROM generate_series(1, 200) i', 'shop');
}

const sql = async (statement: string, database = 'postgres'): Promise<string> =>
  await podman.command(
    'exec',
    '--env',
    `PGPASSWORD=${password}`,
    'shop-db-1',
    `${bin}/psql`,
    '-h',
    '127.0.0.1',
    '-U',
    'shop',
    '-d',
    database,
    '-AtXc',
    statement,
  );

/** `holdfast …ARGS` with the engine of this test. */
function holdfast(args: readonly string[], socket = podman.socketPath) {
  const env = { ...trial.env, DOCKER_HOST: `unix://${socket}`, LABELS_PW: repositoryPassword };
  return spawnSync(program, args, { cwd: trial.folder, env, encoding: 'utf8' });
}

function ok(...args: readonly string[]): string {
  const { status, stdout, stderr } = holdfast(args);
  if (status !== 0) throw new Error(`holdfast ${args.join(' ')} ended with ${status}\n${stdout}\n${stderr}`);
  return stdout + stderr;
}

test('what only labels declare is backed up, drilled and restored, and its password is nowhere', async () => {
  await podman.command('exec', 'cache', 'redis-cli', '-r', '3', 'RPUSH', 'list', 'a', 'b');
  expect(JSON.parse(ok('--json', 'validate'))).toMatchObject({ ok: true, sources: ['cache', 'db'], leftOut: [] });
  const told = [ok('backup', '--all'), ok('--json', 'drill', '--all'), ok('export'), ok('--json', 'snapshots')];
  expect(told.join('\n')).not.toContain(password);
  await podman.command('exec', 'cache', 'redis-cli', 'FLUSHALL');
  ok('restore', 'cache', '--in-place', '--overwrite');
  expect(await podman.command('exec', 'cache', 'redis-cli', 'LLEN', 'list')).toBe('6');
  ok('restore', 'db', '--to', 'again');
  expect(await sql('SELECT count(*), sum(balance) FROM account', 'again')).toBe('200|140700');
});

test('a server follows what labels declare, and reads their secrets when it needs them', async () => {
  const openContainers = () => openContainerEngine(podman.socketPath);
  await using catalogue = await openCatalogue({ kind: 'sqlite', path: ':memory:' }, () => Date.now());
  const store = await ConfigStore.open({
    ...{
      file: trial.path('holdfast.yaml'),
      catalogue,
      clock: systemClock,
      log: createLog({ level: 'silent' }),
      env: {},
    },
    known: withContainerSecrets({ drivers, hostKinds, storageKinds, channelKinds }, { openContainers }),
    signal: new AbortController().signal,
    localHost,
    readLabels: () => readContainerLabels({ openContainers }),
  });
  expect([...store.config.sources.keys()]).toEqual(['cache', 'db']);
  const settings = store.config.sources.get('db')!.settings as { password: { open(): Promise<Secret> } };
  expect((await settings.password.open()).reveal()).toBe(password);
  const labels = [
    '--label',
    'holdfast.driver=files',
    '--label',
    'holdfast.paths=[/srv]',
    '--label',
    'holdfast.policy=nightly',
  ];
  await podman.command('run', '--detach', '--name', 'more', '--network', 'none', ...labels, image, 'sleep', '1000');
  expect(await store.reload()).toMatchObject({ outcome: 'changed' });
  expect(store.config.sources.get('more')).toMatchObject({ host: 'container-more', driver: 'files' });
  await podman.command('stop', '--time', '0', 'more');
  await store.reload();
  expect(store.config.sources.has('more')).toBe(true);
  await podman.command('rm', 'more');
  await store.reload();
  await store.reload();
  expect(store.config.sources.has('more')).toBe(false);
  expect(JSON.stringify(await catalogue.db.selectFrom('configObject').selectAll().execute())).not.toContain(password);
});

test('a label that is wrong is told of by container and label, and the rest goes on with exit status 1', async () => {
  const labels = ['--label', 'holdfast.driver=redis', '--label', 'holdfast.policy=nigthly'];
  await podman.command('run', '--detach', '--name', 'wrong', '--network', 'none', ...labels, image, 'sleep', '1000');
  try {
    const { status, stderr } = holdfast(['snapshots', 'cache']);
    expect(stderr).toContain(
      'container wrong: label holdfast.policy names the policy «nigthly», which is not declared',
    );
    expect(status).toBe(1);
    expect(holdfast(['validate']).status).toBe(1);
  } finally {
    await podman.command('rm', '--force', '--time', '0', 'wrong');
  }
});

test('where no engine answers the rest still works, and nobody is told that all is well', () => {
  const { status, stderr, stdout } = holdfast(['snapshots'], trial.path('no.sock'));
  expect(stderr).toContain('no container engine answers');
  expect(stdout).toContain('cache');
  expect(status).toBe(1);
});
