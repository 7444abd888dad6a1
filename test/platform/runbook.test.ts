/** What a runbook says is typed as it stands there, box by box, and has to bring back what was lost: once with Holdfast, once without. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { program, Trial } from '../e2e/trial.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { type RedisServer, redisProgram, startRedis } from '../servers/redis.ts';
import { initCheaply } from '../support/cheap-repository.ts';

const databasePassword = 'only-for-the-database-3';
const redisPassword = 'only-for-redis-4';
const repositoryPassword = 'correct-horse-runbook-staple';

let trial: Trial;
let postgres: PostgresServer;
let redis: RedisServer;
let books: Readonly<Record<string, string>>;

function yaml(): string {
  const secret = (name: string): string => `password: { file: ${trial.path('secrets', name)} }`;
  return [
    'repositories:',
    `  nas: { url: ${trial.path('nas/repository')}, ${secret('repository')} }`,
    `  second: { url: "${trial.path('second place/repository')}", ${secret('repository')} }`,
    'policies:',
    '  nightly: { schedule: "0 2 * * *", repositories: [{ name: nas }, { name: second }], drill: { schedule: "0 6 * * 0" } }',
    'sources:',
    `  tree: { driver: files, paths: [${trial.path('srv/tree')}, "${trial.path('srv/two words')}"], policy: nightly }`,
    `  tracker: { driver: sqlite, path: ${trial.path('srv/tracker.db')}, policy: nightly }`,
    `  shop: { driver: postgres, url: "postgres://postgres@127.0.0.1:${postgres.port}/shop", ${secret('shop')}, policy: nightly }`,
    `  cache: { driver: redis, url: "${redis.url}", ${secret('cache')}, policy: nightly }`,
    '  never: { driver: files, paths: [/nowhere/at/all], policy: nightly }',
    '',
  ].join('\n');
}

const read: Readonly<Record<string, () => Promise<string>>> = {
  tree: async () => {
    const list = 'find . -printf "%p %y %m %T@ %l\\n" | sort; find . -type f -print0 | sort -z | xargs -0 sha256sum';
    return ['srv/tree', 'srv/two words']
      .map((folder) => execFileSync('sh', ['-c', list], { cwd: trial.path(folder), encoding: 'utf8' }))
      .join('');
  },
  tracker: async () => trial.sqlite('srv/tracker.db', 'PRAGMA integrity_check; SELECT count(*), sum(b) FROM t'),
  shop: async () => JSON.stringify(await postgres.run('shop', 'SELECT count(*), sum(amount), max(note) FROM orders')),
  cache: async () => String(await (await redis.client()).run('GET', 'greeting')),
};

const harm: Readonly<Record<string, () => Promise<void>>> = {
  tree: async () => {
    rmSync(trial.path('srv/tree'), { recursive: true });
    writeFileSync(trial.path('srv/two words/a b'), 'spoilt');
  },
  tracker: async () => writeFileSync(trial.path('srv/tracker.db'), 'this is no database'),
  shop: async () => void (await postgres.run('shop', 'DELETE FROM orders WHERE id > 10')),
  cache: async () => void (await (await redis.client()).run('SET', 'greeting', 'spoilt')),
};

beforeAll(async () => {
  trial = new Trial();
  if ((await redisProgram('installed')) === undefined) throw new Error('redis-server is not installed');
  [postgres, redis] = await Promise.all([
    startPostgres({ password: databasePassword }),
    startRedis({ password: redisPassword }),
  ]);
  const script = `mkdir -p srv/tree/deep "srv/two words" nas "second place" bin
    for i in $(seq 1 20); do echo $i > "srv/tree/f $i"; done; ln -s nowhere srv/tree/soft; chmod 640 "srv/tree/f 7"
    head -c 300000 /dev/urandom > srv/tree/deep/large; echo two > "srv/two words/a b"; ln -s ${program} bin/holdfast`;
  execFileSync('sh', ['-c', script], { cwd: trial.folder });
  const rows = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)';
  trial.sqlite(
    'srv/tracker.db',
    `CREATE TABLE t (a INTEGER PRIMARY KEY, b); ${rows} INSERT INTO t SELECT i, i * 7 FROM n`,
  );
  await postgres.run('postgres', 'CREATE DATABASE shop');
  await postgres.run(
    'shop',
    'CREATE TABLE orders (id int PRIMARY KEY, amount numeric, note text); INSERT INTO orders SELECT i, i * 1.5, md5(i::text) FROM generate_series(1, 900) i',
  );
  await (await redis.client()).run('SET', 'greeting', 'hello');
  trial.write('secrets/repository', repositoryPassword);
  trial.write('secrets/shop', databasePassword);
  trial.write('secrets/cache', redisPassword);
  trial.write('holdfast.yaml', yaml());
  for (const name of ['nas', 'second place']) await initCheaply(trial.path(name, 'repository'), repositoryPassword);
  await trial.ok('backup', ...Object.keys(read));
  await trial.ok('drill', ...Object.keys(read), '--repository', 'nas');
  const { status } = await trial.run(['runbook', '--all', '--to', 'books']);
  expect(status).toBe(1); // one source was never backed up
  const names = readdirSync(trial.path('books'));
  books = Object.fromEntries(
    names.map((name) => [name.replace('.md', ''), readFileSync(trial.path('books', name), 'utf8')]),
  );
}, 180_000);

afterAll(async () => {
  await redis?.[Symbol.asyncDispose]();
  await postgres?.[Symbol.asyncDispose]();
  trial.dispose();
});

/** Types the boxes of one section into a shell, from the folder of the configuration. */
function type(source: string, section: string): { status: number | null; output: string } {
  const text = books[source].split(/^## /m).find((one) => one.startsWith(section)) ?? '';
  const boxes = [...text.matchAll(/```sh\n([\s\S]*?)\n```/g)].map(([, box]) => box);
  if (boxes.length < 3) throw new Error(`the runbook of ${source} has no section «${section}» to type`);
  mkdirSync(trial.path('data'), { recursive: true });
  const { status, stdout, stderr } = spawnSync('sh', ['-ec', boxes.join('\n')], {
    cwd: trial.folder,
    encoding: 'utf8',
    env: {
      ...trial.env,
      PATH: `${trial.path('bin')}:${process.env.PATH}`,
      RESTIC_CACHE_DIR: trial.path('home/cache'),
      PGHOST: '127.0.0.1',
      PGPORT: String(postgres.port),
      PGUSER: 'postgres',
      PGPASSWORD: databasePassword,
      REDISCLI_AUTH: redisPassword,
      DATA: trial.path('data'),
    },
  });
  return { status, output: `${stdout}\n${stderr}` };
}

describe.each(Object.keys(read))('the runbook of %s', (name) => {
  test('typed with Holdfast brings back what was lost', async () => {
    const before = await read[name]();
    await harm[name]();
    const { status, output } = type(name, '2. With Holdfast');
    expect([status, output]).toEqual([0, expect.stringContaining('PROVEN')]);
    expect(await read[name]()).toBe(before);
  });

  test('typed without Holdfast brings back what was lost', async () => {
    const before = await read[name]();
    await harm[name]();
    // As its text says: a database of the same name is dropped first.
    if (name === 'shop') await postgres.run('postgres', 'DROP DATABASE shop');
    const { status, output } = type(name, '3. Without Holdfast');
    expect([status, output]).toEqual([0, expect.any(String)]);
    if (name === 'cache') {
      await using again = await startRedis({ options: ['--dir', trial.path('data'), '--dbfilename', 'dump.rdb'] });
      expect(String(await (await again.client()).run('GET', 'greeting'))).toBe(before);
      await (await redis.client()).run('SET', 'greeting', before);
    }
    expect(await read[name]()).toBe(before);
  });

  test('typed from the further repository finds the same there', async () => {
    const { status, output } = type(name, 'If nas is gone: second');
    expect([status, output]).toEqual([0, expect.stringMatching(/restor/i)]);
  });

  test('says how long it takes, by the drill, and what has to be there', () => {
    const plain = books[name].replace(/\s+/g, ' ');
    expect(plain).toMatch(/About [\d.]+ (?:ms|s)\. Measured on 20\d\d-/);
    expect(plain).toMatch(/all \d+ comparisons with what the backup recorded were equal/);
    expect(books[name]).toContain('## 4. What has to be there');
    expect(books[name]).toContain(`the file ${trial.path('secrets/repository')}`);
    for (const secret of [databasePassword, redisPassword, repositoryPassword])
      expect(books[name]).not.toContain(secret);
  });
});

test('a source without snapshots has no runbook, and says what to do', async () => {
  const { status, stderr } = await trial.run(['runbook', 'never']);
  expect([status, stderr]).toEqual([1, expect.stringContaining('holdfast backup never')]);
  const { runbooks } = await trial.json<{ runbooks: { source: string; text: string }[] }>('runbook', 'tracker');
  expect(runbooks).toMatchObject([{ source: 'tracker', text: expect.stringContaining('# Runbook') }]);
});
