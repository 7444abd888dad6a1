/** Restores over what is there: the present database is exchanged as a whole or stays as it is, and nothing is lost unsaid. */
import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { Secret } from '../../src/base/secrets.ts';
import type { Bench } from '../../src/drivers/check.ts';
import type { Entry } from '../../src/drivers/driver.ts';
import { postgres } from '../../src/drivers/postgres/index.ts';
import { openDriverBench } from '../../src/operations/sources/driver-bench.ts';
import { storageKinds } from '../../src/storage/registry.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { read, restoreTo, type Source, type Stored, secret, sourceOf } from './postgres-proof.ts';

let bench: Bench & AsyncDisposable;
let server: PostgresServer;

beforeAll(async () => {
  server = await startPostgres({
    password: secret,
    options: { max_prepared_transactions: '5', wal_level: 'logical', autovacuum: 'off' },
  });
  bench = await openDriverBench({ driver: postgres, storageKinds, clock: systemClock });
});
afterAll(async () => {
  await bench?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

async function databases(): Promise<string[]> {
  const rows = await server.run(
    'postgres',
    "SELECT datname || CASE WHEN datallowconn THEN '' ELSE ' (closed)' END FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY 1",
  );
  return rows.flat().map(String);
}

async function dropAll(): Promise<void> {
  const rows = await server.run(
    'postgres',
    "SELECT datname FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1')",
  );
  for (const [name] of rows) {
    await server.run('postgres', `ALTER DATABASE "${name}" IS_TEMPLATE false`);
    await server.run('postgres', `DROP DATABASE "${name}" WITH (FORCE)`);
  }
}

/** The same, and the task is done while a dump is read. */
function during(stored: Stored, task: () => Promise<void>): Stored {
  return {
    ...stored,
    async open() {
      const opened = await stored.open();
      const { contents } = opened;
      const read = async function* (path: string): AsyncGenerator<Uint8Array> {
        if (path.endsWith('.dump')) await task();
        yield* contents.read(path);
      };
      const acting = Object.assign(Object.create(contents) as typeof contents, { read });
      return { contents: acting, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
    },
  };
}

describe('the present database and the restored one', () => {
  let source: Source;
  let stored: Stored;
  beforeEach(async () => {
    await server.run('postgres', 'CREATE DATABASE shop');
    await server.run(
      'shop',
      'CREATE TABLE orders AS SELECT generate_series(1, 10) AS id; CREATE TABLE customers AS SELECT 1 AS id; CREATE SCHEMA app; CREATE TABLE app.log AS SELECT 1 AS id',
    );
    source ??= await sourceOf(server, 'shop');
    stored ??= await bench.backUp(source);
    await server.run('shop', 'DELETE FROM orders WHERE id > 5');
  });
  afterEach(dropAll);
  const count = async (database = 'shop') => (await server.run(database, 'SELECT count(*)::int FROM orders'))[0][0];

  test('are exchanged although somebody connects to every database all the time', async () => {
    const stop = new AbortController();
    const seen = new Set<string>();
    const watching = (async () => {
      while (!stop.signal.aborted) {
        for (const name of await databases()) {
          await server.client(name).then(
            () => seen.add(name.replace(/[0-9a-f]{8}$/, '')),
            () => undefined,
          );
        }
        await setTimeout(10);
      }
    })();
    try {
      expect((await restoreTo(source, stored, { overwrite: true })).problems).toEqual([]);
    } finally {
      stop.abort();
      await watching;
    }
    expect([...seen]).toEqual(expect.arrayContaining(['shop', 'shop_restoring_']));
    expect(await databases()).toEqual(['shop']);
    expect(await count()).toBe(10);
  });

  test('a server named as the target is the one that is restored to, also from a source that is reached over a socket', async () => {
    const url = `postgres://postgres@127.0.0.1:${server.port}`;
    const near = await sourceOf(server, 'shop', { socket: server.folder });
    const at = async (target: string) => (await restoreTo(near, stored, { target, dryRun: true })).steps.join();
    expect(await at(`${url}/copy`)).toContain(`copy at ${url} beside`);
    expect(await at(`postgres://postgres@:${server.port}/copy`)).toContain(`@${server.folder}:${server.port} beside`);
    expect(await at('copy')).toContain(`@${server.folder}:${server.port} beside`);
  });

  test('nobody else is let into the restored one before it has its privileges', async () => {
    await server.run('postgres', 'CREATE ROLE stranger LOGIN');
    const seen: string[] = [];
    const watched = during(stored, async () => {
      const [, making] = (await databases()) as [string, string];
      const answer = server.client(making, 'stranger').then(() => 'in', String);
      seen.push(making.replace(/\w{8}$/, ''), await answer);
    });
    await restoreTo(source, watched, {});
    expect(seen).toEqual(['shop_restoring_', expect.stringContaining('permission denied for database')]);
    await expect(server.client('shop', 'stranger')).resolves.toBeDefined();
  });

  test('a prepared transaction stops a restore before anything is touched', async () => {
    const client = await server.client('shop');
    await client.query("BEGIN; INSERT INTO orders VALUES (99); PREPARE TRANSACTION 'half'");
    await client.end();
    try {
      for (const overwrite of [true, false]) {
        const restored = restoreTo(source, stored, { overwrite });
        await expect(restored).rejects.toMatchObject({ code: 'source.busy', message: expect.stringContaining('half') });
      }
      expect(await databases()).toEqual(['shop']);
      expect(await count()).toBe(5);
    } finally {
      await server.run('shop', "ROLLBACK PREPARED 'half'");
    }
  });

  test('a transaction prepared while the new one is filled leaves the present one as it was', async () => {
    const late = during(stored, async () => {
      const client = await server.client('shop');
      await client.query("BEGIN; INSERT INTO orders VALUES (99); PREPARE TRANSACTION 'late'");
      await client.end();
    });
    try {
      await expect(restoreTo(source, late, { overwrite: true })).rejects.toMatchObject({ code: 'source.busy' });
      expect(await databases()).toEqual(['shop']);
      expect(await count()).toBe(5);
    } finally {
      await server.run('shop', "ROLLBACK PREPARED 'late'");
    }
  });

  test('one with a subscription is kept, and the restore says so', async () => {
    await server.run('shop', "CREATE SUBSCRIPTION feed CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false)");
    const { problems } = await restoreTo(source, stored, { overwrite: true });
    const [, aside] = (await databases()) as [string, string];
    expect(problems).toEqual([expect.stringContaining(`subscription(s) feed: it is kept as ${aside}`)]);
    expect([await count(), await count(aside)]).toEqual([10, 5]);
    await server.run(aside, 'ALTER SUBSCRIPTION feed SET (slot_name = NONE)');
    await server.run(aside, 'DROP SUBSCRIPTION feed');
  });

  test('one that cannot be dropped afterwards is named', async () => {
    await server.run('postgres', 'ALTER DATABASE shop IS_TEMPLATE true');
    const { problems } = await restoreTo(source, stored, { overwrite: true });
    const [, aside] = /it remains as (\w+)/.exec(problems.join())!;
    expect(problems.join()).toContain('the restore of shop is complete');
    expect([await count(), await count(aside)]).toEqual([10, 5]);
  });

  test('a copy with a subscription that cannot take its place is removed', async () => {
    await server.run('shop', "CREATE SUBSCRIPTION feed CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false)");
    const withFeed = await bench.backUp(source);
    const late = during(withFeed, async () => void (await server.client('shop')));
    await expect(restoreTo(source, late, {})).rejects.toMatchObject({ code: 'source.busy' });
    expect(await databases()).toEqual(['shop']);
    await server.run('shop', 'ALTER SUBSCRIPTION feed SET (slot_name = NONE)');
    await server.run('shop', 'DROP SUBSCRIPTION feed');
  });

  test('a part of one never replaces the whole, and beside it says what it is', async () => {
    const part = { include: ['public.orders'] };
    for (const dryRun of [true, false]) {
      await expect(restoreTo(source, stored, { ...part, dryRun, overwrite: true })).rejects.toMatchObject({
        code: 'restore.target-exists',
        remedy: expect.stringContaining('--to'),
      });
    }
    const schema = await sourceOf(server, 'shop', { schemas: ['app'] });
    const schemas = await bench.backUp(schema);
    await expect(restoreTo(schema, schemas, { overwrite: true })).rejects.toMatchObject({
      code: 'restore.target-exists',
      message: expect.stringContaining('schemas app'),
    });
    expect(await databases()).toEqual(['shop']);
    const { steps } = await restoreTo(source, stored, part);
    const [, aside] = /is then in (\w+) only/.exec(steps.join('\n'))!;
    expect(await databases()).toEqual(['shop', aside]);
    expect(await server.run(aside, 'SELECT count(*)::int FROM customers')).toEqual([[1]]);
  });
});

test('what checks allow and materialised views hold does not depend on where and how a database is filled', async () => {
  await server.run('postgres', 'CREATE DATABASE moments');
  await server.run('postgres', "ALTER ROLE ALL SET timezone = 'Asia/Tokyo'");
  await server.run('postgres', "ALTER DATABASE moments SET default_text_search_config = 'german'");
  await server.run('postgres', "ALTER DATABASE moments SET app.tenant = 'blue'");
  await server.run(
    'moments',
    `CREATE TABLE sales (at timestamptz, day date CHECK (at::date = day)); INSERT INTO sales VALUES ('2026-05-01 23:30Z', '2026-05-02');
     CREATE MATERIALIZED VIEW daily AS SELECT at::date::text AS day, to_tsvector('Häuser')::text AS word, current_setting('app.tenant') AS tenant FROM sales`,
  );
  const source = await sourceOf(server, 'moments', { fingerprint: 'off' });
  const stored = await bench.backUp(source);
  await server.run('postgres', 'ALTER ROLE ALL RESET timezone');
  await restoreTo(source, stored, { target: 'again' });
  const daily = [['2026-05-02', "'haus':1", 'blue']];
  expect(await server.run('again', 'TABLE daily')).toEqual(daily);
  expect(await server.run('moments', 'TABLE daily')).toEqual(daily);
  expect((await read(stored, '/.holdfast/runbook.md')).toString()).toContain("PGTZ='Asia/Tokyo' pg_restore");

  await server.run('postgres', "ALTER ROLE postgres SET timezone = 'UTC'");
  const runbook = (await read(await bench.backUp(source), '/.holdfast/runbook.md')).toString();
  expect(runbook).not.toContain('PGTZ');
  await server.run('postgres', 'ALTER ROLE postgres RESET timezone');
  await dropAll();
});

describe('at another server', () => {
  let other: PostgresServer;
  beforeAll(async () => {
    other = await startPostgres({ password: secret });
  });
  afterAll(async () => await other?.[Symbol.asyncDispose]());
  afterEach(dropAll);

  test('roles come with their groups, new groups get their members, and grants do what they did', async () => {
    await server.run(
      'postgres',
      'CREATE ROLE admins; CREATE ROLE app LOGIN; GRANT admins TO app; CREATE ROLE readers; CREATE ROLE web LOGIN; CREATE ROLE report LOGIN; GRANT readers TO web, report; GRANT SET ON PARAMETER log_statement TO app',
    );
    await server.run('postgres', 'CREATE DATABASE shop OWNER app');
    await server.run(
      'shop',
      'CREATE TABLE t AS SELECT 1 AS id; ALTER TABLE t OWNER TO app; GRANT SELECT ON t TO readers',
    );
    await other.run('postgres', 'CREATE ROLE web LOGIN');
    const source = await sourceOf(server, 'shop');
    const stored = await bench.backUp(source);
    const { steps, problems } = await restoreTo(source, stored, { target: other.url('shop') });
    expect(problems).toEqual([]);
    expect(steps).toContain('web becomes a member of readers');
    const may =
      "SELECT has_table_privilege('web', 't', 'SELECT'), has_table_privilege('report', 't', 'SELECT'), pg_has_role('app', 'admins', 'MEMBER'), has_parameter_privilege('app', 'log_statement', 'SET')";
    expect(await other.run('shop', may)).toEqual([[true, true, true, true]]);
  });
});

describe('what is not there, and what is left out', () => {
  beforeEach(async () => {
    await server.run('postgres', 'CREATE DATABASE shop');
    await server.run('shop', 'CREATE TABLE orders (id serial PRIMARY KEY, secret text)');
  });
  afterEach(dropAll);
  const notesOf = async (source: Source): Promise<readonly string[]> => {
    await using taken = await postgres.capture(source);
    await readAll(taken.root);
    await taken.complete();
    return taken.notes();
  };

  test('a database, schema or table that is named and not there ends a backup and a probe; a pattern is a warning', async () => {
    const named = { databases: ['shop', 'crm'] };
    const table = { tables: ['public.orders', 'public.invoices'] };
    const schema = { schemas: ['public', 'app'] };
    for (const [settings, missing] of [
      [named, /no database crm/],
      [table, /shop has no table public\.invoices/],
      [schema, /shop has no schema app/],
    ] as const) {
      const source = await sourceOf(server, 'shop', settings);
      const error = { code: 'source.missing', message: expect.stringMatching(missing) };
      await expect(bench.backUp(source)).rejects.toMatchObject(error);
      expect(await postgres.probe(source)).toContainEqual(
        expect.objectContaining({ level: 'error', message: expect.stringMatching(missing) }),
      );
    }
    const patterns = await sourceOf(server, 'shop', { databases: ['shop', 'crm_*'], tables: ['public.*', 'old.*'] });
    const warnings = ['nothing fits «crm_*» of «databases»', 'nothing fits «old.*» of «tables»'];
    expect(await notesOf(patterns)).toEqual(expect.arrayContaining(warnings));
    const found = (await postgres.probe(patterns)).filter(({ level }) => level === 'warning');
    expect(found.map(({ message }) => message)).toEqual(expect.arrayContaining(warnings));
  });

  test('all is what can be stored whole: the rest is named, also what a restore that was broken off left', async () => {
    const half = 'shop_restoring_0badcafe';
    for (const name of [half, 'broken', '"pattern" IS_TEMPLATE true', 'closed ALLOW_CONNECTIONS false'])
      await server.run('postgres', `CREATE DATABASE ${name}`);
    await server.run('postgres', "UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'broken'");
    const all = await sourceOf(server, 'postgres', { databases: 'all', fingerprint: 'off', globals: false });
    const notes = (await notesOf(all)).join('\n');
    await server.run('postgres', 'DROP DATABASE broken');
    for (const name of ['broken', 'closed', half, 'pattern']) expect(notes).toContain(`the database ${name} is `);
    expect(notes).toMatch(/the 2 databases are one moment each/);

    const source = await sourceOf(server, 'postgres', { databases: ['pattern', 'sh*'], fingerprint: 'off' });
    const stored = await bench.backUp(source);
    await server.run('postgres', 'ALTER DATABASE pattern IS_TEMPLATE false');
    const { problems } = await restoreTo(source, stored, {});
    expect(problems).toEqual([expect.stringContaining(`${half} is half restored`)]);
    const templates = 'SELECT datname FROM pg_database WHERE datistemplate ORDER BY oid DESC LIMIT 1';
    expect(await server.run('postgres', templates)).toEqual([['pattern']]);
  });

  test('a table may be in one of several databases, and a schema may hold functions only', async () => {
    await server.run('postgres', 'CREATE DATABASE more');
    await server.run('more', 'CREATE TABLE orders (id int); CREATE TABLE invoices (id int)');
    const several = { databases: ['shop', 'more'], tables: ['public.orders', 'public.invoices'] };
    const both = await sourceOf(server, 'shop', several);
    const { steps } = await restoreTo(both, await bench.backUp(both), { include: ['public.invoices'] });
    expect(steps.at(-1)).toBe('restore nothing of the database shop, which holds none of these tables');
    expect((await databases()).map((name) => name.replace(/\d{14}$/, ''))).toEqual(['more', 'more_before_', 'shop']);
    const none = { ...several, tables: [...several.tables, 'public.ghost'] };
    await expect(bench.backUp(await sourceOf(server, 'shop', none))).rejects.toMatchObject({
      message: expect.stringMatching(/no table public\.ghost/),
    });
    await server.run('shop', "CREATE SCHEMA calc; CREATE FUNCTION calc.one() RETURNS int LANGUAGE sql AS 'SELECT 1'");
    const source = await sourceOf(server, 'shop', { schemas: ['public', 'calc'] });
    const stored = await bench.backUp(source);
    await restoreTo(source, stored, { target: 'calculating' });
    expect(await server.run('calculating', 'SELECT calc.one(), count(*)::int FROM public.orders')).toEqual([[1, 0]]);
    expect((await read(stored, '/.holdfast/runbook.md')).toString()).toContain('DROP SCHEMA public');
  });

  test('what pg_dump warns of is a note of the snapshot: subscriptions that only a superuser reads; and what it leaves out without a word, and who may not restore is told what it takes', async () => {
    await server.run('postgres', "CREATE ROLE plain LOGIN PASSWORD 'plain'; GRANT pg_read_all_data TO plain");
    await server.run('shop', "CREATE SUBSCRIPTION feed CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false)");
    await server.run(
      'shop',
      "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER far FOREIGN DATA WRAPPER w; CREATE USER MAPPING FOR postgres SERVER far OPTIONS (password 'p')",
    );
    const password = { from: 'clear', secret: new Secret('plain') };
    const plain = await sourceOf(server, 'shop', { url: server.url('shop', 'plain'), password });
    await server.run('postgres', "ALTER ROLE ALL SET work_mem = '8MB'");
    const notes = await notesOf(plain);
    await server.run('postgres', 'ALTER ROLE ALL RESET work_mem');
    expect(notes).toContainEqual(expect.stringContaining('every role (work_mem) is not stored'));
    expect(notes).toContainEqual(expect.stringMatching(/^shop: .*subscriptions not dumped/));
    expect(notes).toContainEqual(expect.stringMatching(/^shop: the options .* server\(s\) far are not stored/));
    const source = await sourceOf(server, 'shop');
    expect((await notesOf(source)).join()).not.toContain('far');
    await server.run('postgres', 'ALTER ROLE plain CREATEDB');
    const copy = restoreTo(plain, await bench.backUp(source), { target: 'copy' });
    await expect(copy).rejects.toMatchObject({
      code: 'restore.failed',
      remedy: expect.stringMatching(/^Restore as a superuser/),
    });
    await server.run('shop', 'ALTER SUBSCRIPTION feed SET (slot_name = NONE)');
    await server.run('shop', 'DROP SUBSCRIPTION feed');
  });

  test('a restore says which tablespaces it does not bring back, and one table has the grants on its columns and sequence', async () => {
    await server.run('postgres', 'CREATE ROLE clerk');
    await server.run(
      'shop',
      "GRANT SELECT (id) ON orders TO clerk; GRANT USAGE ON SEQUENCE orders_id_seq TO clerk; COMMENT ON SEQUENCE orders_id_seq IS 'one'",
    );
    const folder = join(server.folder, 'fast');
    execFileSync('install', ['-d', '-o', String(statSync(server.folder).uid), folder]);
    await server.run('postgres', `CREATE TABLESPACE fast LOCATION '${folder}'`);
    await server.run('shop', 'CREATE TABLE quick (id int) TABLESPACE fast');
    const source = await sourceOf(server, 'shop');
    const stored = await bench.backUp(source);
    const { problems } = await restoreTo(source, stored, { target: 'one', include: ['public.orders'] });
    expect(problems).toEqual(['what one kept in the tablespace(s) fast goes to the default one']);
    const may =
      "SELECT has_column_privilege('clerk', 'orders', 'id', 'SELECT'), has_sequence_privilege('clerk', 'orders_id_seq', 'USAGE'), obj_description('orders_id_seq'::regclass, 'pg_class')";
    expect(await server.run('one', may)).toEqual([[true, true, 'one']]);
    await dropAll();
    await server.run('postgres', 'DROP TABLESPACE fast');
  });
});

async function readAll(entry: Entry): Promise<void> {
  if (entry.kind === 'dir') for (const child of await entry.children()) await readAll(child);
  if (entry.kind !== 'file') return;
  const reader = await entry.open();
  const into = new Uint8Array(65_536);
  while ((await reader.read(into)) > 0);
  await reader.close();
}
