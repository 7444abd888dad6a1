/**
 * The bad day: the machine is gone, with its state and its configuration. What is left is a repository, its password, and
 * the page that was printed. Once with Holdfast, once with restic and the databases' own programs.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { program, Trial } from '../e2e/trial.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { type RedisServer, redisProgram, startRedis } from '../servers/redis.ts';
import { initCheaply } from '../support/cheap-repository.ts';

const installedRedis = await redisProgram('installed');
const password = 'correct-horse-battery-staple';
const databasePassword = 'only-for-the-database-1';
const redisPassword = 'only-for-redis-2';

let trial: Trial;
let postgres: PostgresServer;
let redis: RedisServer | undefined;
let before: { sources: Readonly<Record<string, string>>; proofs: unknown; yaml: string; kit: string };

const sourceNames = ['tree', 'tracker', 'export', 'shop', ...(installedRedis ? ['cache'] : [])];

function yaml(): string {
  const secret = (name: string): string => `password: { file: ${trial.path('secrets', name)} }`;
  return [
    '# everything this machine protects',
    'repositories:',
    `  nas: { url: ${trial.path('nas/repository')}, ${secret('repository')} }`,
    'policies:',
    '  nightly: { repositories: [{ name: nas, keep: { last: 5 } }] }',
    'sources:',
    `  tree: { driver: files, paths: [${trial.path('srv/tree')}], policy: nightly }`,
    `  tracker: { driver: sqlite, path: ${trial.path('srv/tracker.db')}, policy: nightly }`,
    `  export: { driver: command, command: [cat, ${trial.path('srv/export.ldif')}], filename: export.ldif, policy: nightly }`,
    `  shop: { driver: postgres, url: "postgres://postgres@127.0.0.1:${postgres.port}/shop", ${secret('shop')}, policy: nightly }`,
    ...(redis ? [`  cache: { driver: redis, url: "${redis.url}", ${secret('cache')}, policy: nightly }`] : []),
    '',
  ].join('\n');
}

/** What each source holds, as text to compare. */
async function contents(exportFile: string): Promise<Record<string, string>> {
  const list = 'find . -printf "%p %y %m %T@ %l\\n" | sort; find . -type f -print0 | sort -z | xargs -0 sha256sum';
  const cache = redis && (await (await redis.client()).run('GET', 'greeting'));
  return {
    tree: execFileSync('sh', ['-c', list], { cwd: trial.path('srv/tree'), encoding: 'utf8' }),
    tracker: trial.sqlite('srv/tracker.db', 'PRAGMA integrity_check; SELECT count(*), sum(b), max(length(c)) FROM t'),
    export: readFileSync(exportFile, 'utf8'),
    shop: JSON.stringify(await postgres.run('shop', 'SELECT count(*), sum(amount), max(note) FROM orders')),
    ...(redis ? { cache: String(cache) } : {}),
  };
}

async function loseEverything(): Promise<void> {
  for (const name of ['srv', 'secrets', 'home', 'holdfast.yaml']) rmSync(trial.path(name), { recursive: true });
  mkdirSync(trial.path('home'));
  await postgres.run('postgres', 'DROP DATABASE shop');
  if (redis) await (await redis.client()).run('FLUSHALL');
}

beforeAll(async () => {
  trial = new Trial();
  postgres = await startPostgres({ password: databasePassword });
  await postgres.run('postgres', `ALTER ROLE postgres PASSWORD '${databasePassword}'`);
  if (installedRedis) redis = await startRedis({ password: redisPassword });
  const script = `mkdir -p srv/tree/deep nas; for i in $(seq 1 40); do echo $i > "srv/tree/f $i"; done
    head -c 4000000 /dev/urandom > srv/tree/deep/large; ln -s nowhere srv/tree/soft; chmod 640 "srv/tree/f 7"
    seq 1 2000 > srv/export.ldif`;
  execFileSync('sh', ['-c', script], { cwd: trial.folder });
  const rows = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)';
  trial.sqlite(
    'srv/tracker.db',
    `PRAGMA journal_mode = WAL; CREATE TABLE t (a INTEGER PRIMARY KEY, b, c); ${rows} INSERT INTO t SELECT i, i * 7, hex(randomblob(200)) FROM n`,
  );
  await postgres.run('postgres', 'CREATE DATABASE shop');
  await postgres.run(
    'shop',
    'CREATE TABLE orders (id int PRIMARY KEY, amount numeric, note text); INSERT INTO orders SELECT i, i * 1.5, md5(i::text) FROM generate_series(1, 3000) i',
  );
  if (redis) await (await redis.client()).run('SET', 'greeting', 'hello');
  trial.write('secrets/repository', `${password}\n`);
  trial.write('secrets/shop', databasePassword);
  trial.write('secrets/cache', redisPassword);
  trial.write('holdfast.yaml', yaml());
  await initCheaply(trial.path('nas/repository'), password);
  await trial.ok('backup', '--all');
  await trial.ok('drill', '--all');
  trial.write('srv/tree/f 3', 'changed since\n');
  await trial.ok('backup', '--all');
  await trial.ok('drill', '--all');
  before = {
    sources: await contents(trial.path('srv/export.ldif')),
    proofs: await trial.json('proofs'),
    yaml: readFileSync(trial.path('holdfast.yaml'), 'utf8'),
    kit: await trial.ok('repo', 'recovery-kit', 'nas'),
  };
});

afterAll(async () => {
  await redis?.[Symbol.asyncDispose]();
  await postgres?.[Symbol.asyncDispose]();
  trial.dispose();
});

/** `holdfast …` with something on stdin. */
function piped(input: string, ...args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(program, args, { cwd: trial.folder, env: trial.env, input, encoding: 'utf8' });
}

interface CarriedOn {
  readonly secrets: readonly { readonly path: string; readonly state: string; readonly place: string }[];
  readonly sources: readonly { readonly source: string; readonly declared: boolean; readonly snapshots: number }[];
}

describe('with the address of the repository and its password', () => {
  test('the configuration comes back as it was written, and says which secrets it needs', async () => {
    await loseEverything();
    const { status, stdout, stderr } = piped(`${password}\n`, '--json', 'init', '--from', trial.path('nas/repository'));
    expect([status, stderr]).toEqual([0, '']);
    const carriedOn = JSON.parse(stdout) as CarriedOn;
    expect(readFileSync(trial.path('holdfast.yaml'), 'utf8')).toBe(before.yaml);
    const states = carriedOn.secrets.map((one) => [one.path, one.state]);
    expect(states).toEqual([
      ['repositories.nas.password', 'written'],
      ['sources.shop.password', 'missing'],
      ...(redis ? [['sources.cache.password', 'missing']] : []),
    ]);
    expect(new Set(carriedOn.sources.map((one) => `${one.source} ${one.declared} ${one.snapshots}`))).toEqual(
      new Set(sourceNames.map((name) => `${name} true 2`)),
    );
    expect(stdout).not.toContain(password);
    trial.write('secrets/shop', databasePassword);
    trial.write('secrets/cache', redisPassword);
  });

  test('proofs and history are back at once', async () => {
    expect(await trial.json('proofs')).toEqual(before.proofs);
    expect((await trial.run(['status'])).stdout).toContain('everything declared can be restored');
  });

  test('every source is restored to what it was', async () => {
    for (const name of sourceNames.filter((one) => one !== 'export')) await trial.ok('restore', name, '--in-place');
    await trial.ok('restore', 'export', '--to', trial.path('srv/export.ldif'));
    expect(await contents(trial.path('srv/export.ldif'))).toEqual(before.sources);
  });

  test('the next backup goes on from the last one, and adds next to nothing', async () => {
    interface Backup {
      readonly ok: boolean;
      readonly results: readonly { readonly source: string; readonly addedBytes: number; readonly bytes: number }[];
      readonly states: readonly { readonly outcome: string }[];
    }
    const { ok, results, states } = await trial.json<Backup>('backup', '--all');
    expect([ok, states]).toEqual([true, [{ repository: 'nas', outcome: 'unchanged' }]]);
    const added = results.reduce((sum, one) => sum + one.addedBytes, 0);
    const bytes = results.reduce((sum, one) => sum + one.bytes, 0);
    expect(bytes).toBeGreaterThan(4_000_000);
    expect(added).toBeLessThan(bytes / 20);
    expect(await trial.ok('drill', '--all')).not.toContain('FAILED');
    expect(await trial.ok('snapshots')).not.toContain('configuration');
  });

  test('a configuration that is there is kept aside, and a wrong password writes nothing', async () => {
    trial.write('holdfast.yaml', '# mine\n');
    expect(piped('wrong\n', 'init', '--from', trial.path('nas/repository')).status).toBe(1);
    expect(readFileSync(trial.path('holdfast.yaml'), 'utf8')).toBe('# mine\n');
    const { stdout } = piped(`${password}\n`, '--json', 'init', '--from', trial.path('nas/repository'));
    const { keptAside } = JSON.parse(stdout) as { keptAside: string };
    expect(readFileSync(keptAside, 'utf8')).toBe('# mine\n');
    expect(readFileSync(trial.path('holdfast.yaml'), 'utf8')).toBe(before.yaml);
  });
});

describe('with the recovery kit', () => {
  /** The boxes of the kit up to the part about Holdfast, in order. */
  function boxes(): string[] {
    const [withRestic] = before.kit.split('## With Holdfast');
    return [...withRestic.matchAll(/```sh\n([\s\S]*?)\n```/g)].map(([, box]) => box);
  }

  test.each(['restic', 'restic-new'])(
    'its commands, typed as they are, bring everything back with %s',
    async (restic) => {
      await loseEverything();
      const path = execFileSync('sh', ['-c', `command -v ${restic}`], { encoding: 'utf8' }).trim();
      trial.write('bin/restic', `#!/bin/sh\nexec ${path} --no-cache "$@"\n`);
      mkdirSync(trial.path('data'), { recursive: true });
      const script = ['set -e', `chmod +x ${trial.path('bin/restic')}`, ...boxes()].join('\n');
      const { status, stdout, stderr } = spawnSync('sh', ['-c', script], {
        cwd: trial.folder,
        input: `${password}\n`,
        encoding: 'utf8',
        env: {
          ...trial.env,
          PATH: `${trial.path('bin')}:${process.env.PATH}`,
          PGHOST: '127.0.0.1',
          PGPORT: String(postgres.port),
          PGUSER: 'postgres',
          PGPASSWORD: databasePassword,
          DATA: trial.path('data'),
        },
      });
      expect([status, stderr]).toEqual([0, expect.any(String)]);
      expect(stdout).toContain('no errors were found');
      expect(stdout).toContain('ok\n');
      const output = trial.path('home/recovery/export/command/export.ldif');
      if (redis) {
        expect(existsSync(trial.path('data/dump.rdb'))).toBe(true);
        await using again = await startRedis({ options: ['--dir', trial.path('data'), '--dbfilename', 'dump.rdb'] });
        expect(String(await (await again.client()).run('GET', 'greeting'))).toBe('hello');
        await (await redis.client()).run('SET', 'greeting', 'hello');
      }
      expect(await contents(output)).toEqual(before.sources);
      trial.write('secrets/repository', `${password}\n`);
      trial.write('holdfast.yaml', before.yaml);
    },
  );

  test('it shows no secret unless told to, and is one page that needs nothing else', async () => {
    expect(before.kit).not.toContain(password);
    expect(before.kit).not.toContain(databasePassword);
    await trial.ok('repo', 'recovery-kit', 'nas', '--output', 'kit.html', '--show-password');
    const html = readFileSync(trial.path('kit.html'), 'utf8');
    expect(html).toContain(password);
    expect(html).toMatch(/^<!doctype html>/);
    expect(html).not.toMatch(/<(?:script|link|img)|url\(|src=/);
    const again = await trial.run(['repo', 'recovery-kit', 'nas', '--output', 'kit.html']);
    expect([again.status, again.stderr]).toEqual([2, expect.stringContaining('exists already')]);
  });
});
