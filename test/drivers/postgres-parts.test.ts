/** Parts of databases: what belongs to a table that was chosen comes with it, and what is printed for doing without Holdfast restores it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { Bench } from '../../src/drivers/check.ts';
import { postgres } from '../../src/drivers/postgres/index.ts';
import { openDriverBench } from '../../src/operations/sources/driver-bench.ts';
import { storageKinds } from '../../src/storage/registry.ts';
import { type PostgresRelease, type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { compare, failedOf, restoreTo, secret, sourceOf, withCopy } from './postgres-proof.ts';

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

describe('a partitioned table', () => {
  test('of PostgreSQL 12 is stored with all its partitions, of every level and in whatever schema', async () => {
    await using server = await start(12);
    const source = await sourceOf(server, 'shop', { schemas: ['app'] });
    await restoreTo(source, await bench.backUp(source), { target: 'copy' });
    expect(await rowsOf(server, 'copy')).toEqual({ ...whole, parent: 1 });
  });

  test('of PostgreSQL 18 is stored, and compared by drills, without what is left out, and the snapshot says so', async () => {
    await using server = await start(18);
    const source = await sourceOf(server, 'shop', {
      tables: ['app.orders'],
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
      expect(Object.fromEntries(rows)).toEqual({ 'table old.orders_25a': '0', 'table old.orders_25b': '50' });
    });
  });
});

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
