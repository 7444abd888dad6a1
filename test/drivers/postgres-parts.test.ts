/** Parts of databases: what belongs to a table that was chosen comes with it, and what is printed for doing without Holdfast restores it. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { Bench } from '../../src/drivers/check.ts';
import { postgres } from '../../src/drivers/postgres/index.ts';
import { openDriverBench } from '../../src/operations/sources/driver-bench.ts';
import { storageKinds } from '../../src/storage/registry.ts';
import { clientPrograms, type PostgresRelease, type PostgresServer, startPostgres } from '../servers/postgres.ts';
import {
  compare,
  failedOf,
  read,
  restoreTo,
  type Source,
  type Stored,
  secret,
  sourceOf,
  withCopy,
} from './postgres-proof.ts';

let bench: Bench & AsyncDisposable;
let notes: readonly string[] = [];

beforeAll(async () => {
  const telling: typeof postgres = {
    ...postgres,
    async capture(source) {
      const taken = await postgres.capture(source);
      const ended = taken.complete.bind(taken);
      taken.complete = async () => {
        await ended();
        notes = taken.notes();
      };
      return taken;
    },
  };
  bench = await openDriverBench({ driver: telling, storageKinds, clock: systemClock });
});
afterAll(async () => await bench?.[Symbol.asyncDispose]());

/** A table with partitions of two levels, some of them in another schema, and others that have nothing to do with it. */
const orders = `
CREATE SCHEMA app;
CREATE SCHEMA old;
CREATE TABLE app.orders (id serial, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE INDEX orders_at ON app.orders (at);
CREATE TABLE app.orders_26 PARTITION OF app.orders FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE old.orders_25 PARTITION OF app.orders FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY RANGE (id);
CREATE TABLE old.orders_25a PARTITION OF old.orders_25 FOR VALUES FROM (0) TO (50);
CREATE TABLE old.orders_25b PARTITION OF old.orders_25 DEFAULT;
INSERT INTO app.orders SELECT i, date '2025-06-01' FROM generate_series(0, 99) i;
INSERT INTO app.orders SELECT i, date '2026-06-01' FROM generate_series(0, 9) i;
CREATE TABLE old.other (id serial PRIMARY KEY);
CREATE TABLE app.parent (id int);
CREATE TABLE old.child (more int) INHERITS (app.parent);
INSERT INTO app.parent VALUES (1);
INSERT INTO old.child VALUES (2, 2);
`;

const whole = { orders_25a: 50, orders_25b: 50, orders_26: 10 };

test('a partitioned table of PostgreSQL 18 is compared by drills without what is left out, beside an extension elsewhere, and the snapshot says so', async () => {
  await using server = await start(18);
  await server.run(
    'shop',
    'CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext; ALTER TABLE app.parent ADD word ext.citext',
  );
  const source = await sourceOf(server, 'shop', {
    schemas: ['app'],
    excludeTables: ['app.orders_26'],
    excludeTableData: ['old.orders_25a'],
  });
  const stored = await bench.backUp(source);
  expect(notes).toEqual([
    'shop: not stored are 1 of the 3 partitions of app.orders: app.orders_26',
    'shop: stored without their rows are 1 of the 3 partitions of app.orders: old.orders_25a',
  ]);
  await withCopy(bench, source, stored, async (copy) => {
    const checks = await compare(stored, copy);
    expect(failedOf(checks)).toEqual([]);
    const rows = checks.filter(({ measure }) => measure === 'rows').map((one) => [one.subject, one.found]);
    expect(Object.fromEntries(rows)).toEqual({
      'table app.parent': '1',
      'table old.orders_25a': '0',
      'table old.orders_25b': '50',
    });
  });
});

describe('of PostgreSQL 12', () => {
  let server: PostgresServer;
  let source: Source;
  let stored: Stored;
  beforeAll(async () => {
    server = await start(12);
    await server.run(
      'shop',
      `CREATE STATISTICS app.related ON id, at FROM app.orders_26;
      CREATE TABLE "a" (id int, "b c" int);
      CREATE TABLE "a b" (c int);
      ALTER TABLE "a b" ADD CONSTRAINT c CHECK (c > 0) NOT VALID, ADD CONSTRAINT d UNIQUE (c);
      ALTER TABLE a ADD CONSTRAINT "b c" CHECK (id > 0) NOT VALID;
      CREATE ROLE clerk;
      GRANT SELECT ON "a b" TO clerk;
      GRANT SELECT ("b c") ON a TO clerk`,
    );
    source = await sourceOf(server, 'shop');
    stored = await bench.backUp(source);
  });
  afterAll(async () => await server?.[Symbol.asyncDispose]());
  afterEach(async () => void (await server.run('postgres', 'DROP DATABASE IF EXISTS copy')));

  test('a source of a partitioned table stores all its partitions, of every level and in whatever schema', async () => {
    const part = await sourceOf(server, 'shop', { tables: ['app.orders'] });
    await restoreTo(part, await bench.backUp(part), { target: 'copy' });
    expect(await rowsOf(server, 'copy')).toEqual(whole);
  });

  test('one table that is partitioned comes with its partitions, valid indexes and statistics', async () => {
    await restoreTo(source, stored, { target: 'copy', include: ['app.orders'], exclude: ['old.orders_25a'] });
    expect(await rowsOf(server, 'copy')).toEqual({ orders_25b: 50, orders_26: 10 });
    const invalid = 'SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid';
    expect(await server.run('copy', invalid)).toEqual([]);
    expect(await server.run('copy', 'SELECT stxname FROM pg_statistic_ext')).toEqual([['related']]);
    const again = "INSERT INTO app.orders VALUES (1, '2026-06-01') ON CONFLICT (id, at) DO NOTHING";
    await expect(server.run('copy', again)).resolves.toEqual([]);
  });

  test('one table comes without one whose name begins alike, each with its own constraints and grants', async () => {
    const own =
      "SELECT c.relname, (SELECT jsonb_agg(conname ORDER BY conname) FROM pg_constraint WHERE conrelid = c.oid), has_any_column_privilege('clerk', c.oid, 'SELECT') FROM pg_class c WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
    await restoreTo(source, stored, { target: 'copy', include: ['public.a'] });
    expect(await server.run('copy', own)).toEqual([['a', ['b c'], true]]);
    await server.run('postgres', 'DROP DATABASE copy');
    await restoreTo(source, stored, { target: 'copy', include: ['public.a b'] });
    expect(await server.run('copy', own)).toEqual([['a b', ['c', 'd'], true]]);
  });

  test('the runbook of a part of a database restores all of it', async () => {
    await server.run('postgres', 'CREATE DATABASE crm OWNER clerk');
    await server.run(
      'crm',
      `CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext; CREATE SCHEMA app; CREATE TABLE app.t AS SELECT 'A'::ext.citext AS id;
      ALTER DATABASE crm SET search_path TO app, ext; GRANT CREATE ON DATABASE crm TO clerk; COMMENT ON DATABASE crm IS E'it''s\n one \\\\ of two'`,
    );
    const properties =
      "SELECT (SELECT jsonb_agg(a ORDER BY a) FROM (SELECT unnest(datacl)::text AS a) l), datdba::regrole::text, shobj_description(oid, 'pg_database'), (SELECT setconfig FROM pg_db_role_setting WHERE setdatabase = d.oid) FROM pg_database d WHERE datname = 'crm'";
    const before = await server.run('postgres', properties);
    const part = await bench.backUp(await sourceOf(server, 'crm', { tables: ['app.t'] }));
    await server.run('postgres', 'DROP DATABASE crm');
    await runByHand(server, part);
    expect(await server.run('crm', "SELECT count(*)::int FROM t WHERE id = 'a'")).toEqual([[1]]);
    expect(await server.run('postgres', properties)).toEqual(before);
  });
});

/** What the runbook in the snapshot says, by a shell. */
async function runByHand(server: PostgresServer, stored: Stored): Promise<void> {
  const runbook = (await read(stored, '/.holdfast/runbook.md')).toString('utf8');
  const [, ...commands] = runbook.split('\n').filter((line) => line.startsWith('    '));
  const cwd = await bench.directory();
  mkdirSync(join(cwd, 'postgres'));
  writeFileSync(join(cwd, 'postgres/crm.dump'), await read(stored, '/postgres/crm.dump'));
  const bin = await clientPrograms(server.release);
  const env = {
    PATH: `${bin}:${process.env.PATH}`,
    PGHOST: server.folder,
    PGPORT: String(server.port),
    PGUSER: 'postgres',
  };
  execFileSync('sh', ['-e', '-c', commands.join('\n')], { cwd, env, stdio: 'pipe' });
}

async function start(release: PostgresRelease): Promise<PostgresServer> {
  const server = await startPostgres({ release, password: secret });
  await server.run('postgres', 'CREATE DATABASE shop');
  await server.run('shop', orders);
  return server;
}

/** Tables by name with the rows they hold themselves. */
async function rowsOf(server: PostgresServer, database: string): Promise<Record<string, number>> {
  const found = await server.run(
    database,
    "SELECT relname, oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('app', 'old', 'public'))",
  );
  const counted = found.map(async ([name, word]) => {
    const [[rows]] = await server.run(database, `SELECT count(*)::int FROM ONLY ${word}`);
    return [name, rows];
  });
  return Object.fromEntries(await Promise.all(counted)) as Record<string, number>;
}
