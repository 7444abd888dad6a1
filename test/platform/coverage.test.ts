/** What is not covered is found where it really is: files, servers, containers, volumes, here and on another machine. */
import { mkdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CoverageOutput } from '../../src/operations/coverage/coverage.ts';
import { Trial } from '../e2e/trial.ts';
import { freePort } from '../servers/free-port.ts';
import { type Podman, startPodman } from '../servers/podman.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { type Sshd, startSshd } from '../servers/sshd.ts';

const password = 'only-for-the-coverage-5';

class CoverageTrial extends Trial {
  socketPath = '/nowhere.sock';

  override get env(): NodeJS.ProcessEnv {
    return { ...super.env, DOCKER_HOST: `unix://${this.socketPath}` };
  }
}

let trial: CoverageTrial;
let postgres: PostgresServer;
let sshd: Sshd;
let podman: Podman;
let silent: Server;
let closedPort: number;

beforeAll(async () => {
  trial = new CoverageTrial();
  [postgres, sshd, podman] = await Promise.all([startPostgres({ password }), startSshd(), startPodman()]);
  trial.socketPath = podman.socketPath;
  await postgres.run('postgres', `ALTER ROLE postgres PASSWORD '${password}'`);
  for (const name of ['shop', 'audit']) await postgres.run('postgres', `CREATE DATABASE ${name}`);
  for (const folder of ['srv', 'far', 'nas']) mkdirSync(trial.path(folder));
  for (const file of ['srv/app.db', 'srv/forgotten.db', 'far/there.sqlite']) trial.sqlite(file, 'CREATE TABLE t (a)');
  trial.write('pw', password);
  // It takes connections and says nothing.
  silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  closedPort = await freePort();
  const image = await podman.importBusyboxImage();
  await podman.command('tag', image, 'localhost/postgres:17');
  const idle = [
    '--network',
    'none',
    '--volume',
    'pgdata:/var/lib/postgresql',
    'localhost/postgres:17',
    'sleep',
    '100000',
  ];
  await podman.command('create', '--name', 'shop-db', ...idle);
  await podman.command(
    'create',
    '--name',
    'web',
    '--network',
    'none',
    '--volume',
    'uploads:/uploads',
    image,
    'sleep',
    '1',
  );
  configure();
  await trial.ok('repo', 'init', 'nas');
  await trial.ok('backup', 'app');
  await trial.ok('drill', 'app');
}, 180_000);

afterAll(async () => {
  silent?.close();
  trial?.dispose();
  await podman?.[Symbol.asyncDispose]();
  await sshd?.[Symbol.asyncDispose]();
  await postgres?.[Symbol.asyncDispose]();
});

function configure({
  hosts = [],
  databases = '[shop]',
  more = [],
}: {
  hosts?: string[];
  databases?: string;
  more?: string[];
} = {}): void {
  const url = `"postgres://postgres@127.0.0.1:${postgres.port}"`;
  trial.write(
    'holdfast.yaml',
    [
      `repositories: { nas: { url: ./nas/r, password: { file: ./pw }, check: { schedule: "0 7 1 * *" }, prune: { schedule: "0 6 * * 0" } } }`,
      'policies: { nightly: { schedule: "0 2 * * *", repositories: [{ name: nas, keep: { last: 3 } }], drill: { schedule: "0 6 * * 0" } } }',
      'hosts:',
      `  gate: { ssh: "${sshd.address}", key: { file: ${sshd.key} }, knownHosts: ${sshd.knownHosts} }`,
      ...hosts,
      'sources:',
      '  app: { driver: sqlite, path: ./srv/app.db, policy: nightly }',
      `  shop: { driver: postgres, url: ${url}, databases: ${databases}, password: { file: ./pw }, policy: nightly }`,
      ...more,
      '',
    ].join('\n'),
  );
}

async function gaps(...args: readonly string[]): Promise<{ output: CoverageOutput; told: string[] }> {
  const output = await trial.json<CoverageOutput>(
    'coverage',
    '--root',
    trial.path('srv'),
    '--root',
    trial.path('far'),
    ...args,
  );
  return { output, told: output.gaps.map((one) => `${one.level} ${one.kind} ${one.subject}`) };
}

describe('on this machine', () => {
  test('a database that no source means is found, and the lines it gives make it covered', async () => {
    const { output, told } = await gaps('--host', 'local');
    const subject = `SQLite database ${trial.path('srv/forgotten.db')}`;
    expect(told).toContain(`uncovered database-uncovered ${subject}`);
    expect(told.join('\n')).not.toContain(trial.path('srv/app.db'));
    expect(output.protected).toMatchObject([
      { source: 'app', copies: [{ repository: 'nas', elsewhere: false, proven: expect.any(String) }] },
    ]);
    const { yaml = '' } = output.gaps.find((one) => one.subject === subject)!;
    configure({ more: yaml.split('\n').slice(1) });
    await trial.ok('validate');
    expect((await gaps('--host', 'local')).told.join('\n')).not.toContain(subject);
    configure();
  });

  test('a server is covered by the source that asks it, and its databases by what the source chooses', async () => {
    const { told } = await gaps('--host', 'local');
    expect(told.join('\n')).not.toContain(`PostgreSQL at port ${postgres.port}`);
    expect(told).toContain('uncovered database-left-out database audit beside shop');
    expect(told).toContain('uncovered never-backed-up source shop');
    configure({ databases: 'all' });
    expect((await gaps('--host', 'local')).told.join('\n')).not.toContain('database-left-out');
    const config = readFileSync(trial.path('holdfast.yaml'), 'utf8');
    trial.write('holdfast.yaml', config.replace(/^ {2}shop: .*\n/m, ''));
    expect((await gaps('--host', 'local')).told).toContain(
      `uncovered server-uncovered PostgreSQL at port ${postgres.port}`,
    );
    configure();
  });

  test('containers and volumes are found, and a source in the container covers the one with its volume', async () => {
    const { output, told } = await gaps('--host', 'local');
    expect(told).toContain('uncovered server-uncovered container shop-db');
    expect(told).toContain('uncovered volume-uncovered volume uploads');
    expect(told.join('\n')).not.toContain('pgdata');
    const { yaml = '' } = output.gaps.find((one) => one.subject === 'container shop-db')!;
    const [, host, , source] = yaml.replace('/path/of/the/password', trial.path('pw')).split('\n');
    configure({ hosts: [host], more: [source] });
    await trial.ok('validate');
    expect((await gaps('--host', 'local')).told.join('\n')).not.toContain('container shop-db');
    configure();
  });

  test('what a person does not want to hear of is left out, and counted', async () => {
    const { output, told } = await gaps(
      '--host',
      'local',
      '--ignore',
      'volume *',
      '--ignore',
      'SQLite database */forgotten.db',
    );
    // A volume without a name, which the image of «web» asks for, is one of them.
    expect(output.ignored).toBe(3);
    expect(told.join('\n')).not.toMatch(/uploads|forgotten/);
    const { status, stdout } = await trial.run(['coverage', '--no-look']);
    expect([status, stdout]).toEqual([1, expect.stringContaining('stored only on the machine it is on')]);
    expect(stdout).not.toContain(password);
  });
});

describe('on other machines', () => {
  test('databases are found through SSH, with nothing installed there', async () => {
    const { output, told } = await gaps('--host', 'gate');
    expect(told).toContain(`uncovered database-uncovered SQLite database ${trial.path('far/there.sqlite')}`);
    expect(output.looked).toMatchObject([{ host: 'gate', complete: true }]);
    const { yaml } = output.gaps.find((one) => one.subject.endsWith('there.sqlite'))!;
    expect(yaml).toContain('host: gate');
  });

  test('one that refuses and one that never answers are told of, each in its time, and hold nothing else up', async () => {
    const { port } = silent.address() as { port: number };
    const common = `key: { file: ${sshd.key} }, knownHosts: ${sshd.knownHosts}`;
    configure({
      hosts: [
        `  closed: { ssh: "root@127.0.0.1:${closedPort}", ${common} }`,
        `  mute: { ssh: "root@127.0.0.1:${port}", ${common} }`,
      ],
    });
    const { told } = await gaps('--host', 'gate', '--host', 'closed', '--host', 'mute', '--timeout', '6s');
    expect(told).toContain('unknown machine-silent host closed');
    expect(told).toContain('unknown machine-silent host mute');
    expect(told.join('\n')).toContain('there.sqlite');
    configure();
  });
});
