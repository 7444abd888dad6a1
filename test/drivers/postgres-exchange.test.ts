/** What a restore over present databases says and leaves when its last step goes wrong, and what it never drops. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import type { Bench } from '../../src/drivers/check.ts';
import { postgres } from '../../src/drivers/postgres/index.ts';
import { openDriverBench } from '../../src/operations/sources/driver-bench.ts';
import { storageKinds } from '../../src/storage/registry.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { restoreTo, type Source, type Stored, secret, sourceOf } from './postgres-proof.ts';

let bench: Bench & AsyncDisposable;
let server: PostgresServer;

beforeAll(async () => {
  server = await startPostgres({ password: secret, options: { wal_level: 'logical', autovacuum: 'off' } });
  bench = await openDriverBench({ driver: postgres, storageKinds, clock: systemClock });
});
afterAll(async () => {
  await bench?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});
afterEach(async () => {
  await server.run('postgres', 'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots');
  for (const name of await databases()) await server.run('postgres', `DROP DATABASE "${name}" WITH (FORCE)`);
});

async function databases(): Promise<string[]> {
  const names = "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY 1";
  return (await server.run('postgres', names)).flat().map(String);
}

async function make(name: string, sql = 'CREATE TABLE t AS SELECT 1 AS id'): Promise<void> {
  await server.run('postgres', `CREATE DATABASE "${name}"`);
  await server.run(name, sql);
}

const rows = async (database: string): Promise<unknown> =>
  (await server.run(database, 'SELECT count(*)::int FROM t'))[0][0];

/** Of databases with one row each, which is taken once; afterwards they have two. */
async function given(names: readonly string[], settings: Record<string, unknown> = {}): Promise<Given> {
  for (const name of names) await make(name);
  const source = await sourceOf(server, names[0], { ...quick, ...vain, ...settings });
  snapshots[names.join()] ??= await bench.backUp(source);
  for (const name of names) await server.run(name, 'INSERT INTO t VALUES (2)');
  return { source, taken: snapshots[names.join()] };
}

interface Given {
  readonly source: Source;
  readonly taken: Stored;
}

const snapshots: Record<string, Stored> = {};
const quick = { fingerprint: 'off', globals: false } as const;
/** What nothing fits leaves nothing out: with these, too, a present database may be dropped. */
const vain = { excludeTables: ['x.*'], excludeSchemas: ['x'], excludeTableData: ['x.*'] };

/** The same, but reading a path does something first, or gives something else. */
function acting(taken: Stored, act: (path: string) => Promise<Buffer | undefined>): Stored {
  return {
    ...taken,
    async open() {
      const opened = await taken.open();
      const { contents } = opened;
      const read = async function* (path: string): AsyncGenerator<Uint8Array> {
        const instead = await act(path);
        if (instead) yield instead;
        else yield* contents.read(path);
      };
      const changed = Object.assign(Object.create(contents) as typeof contents, { read });
      return { contents: changed, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() };
    },
  };
}

type Fault = 'the answer is lost' | 'the answer is lost, and then the server' | 'the command is lost';

/** Passes everything on up to the COMMIT of the exchange; when that is lost, the server does not notice. */
async function faultyPort(fault: Fault): Promise<{ port: number } & AsyncDisposable> {
  const sockets: Socket[] = [];
  let isRenaming = false;
  let isAway = false;
  const proxy = createServer((near) => {
    if (isAway) return void near.resetAndDestroy();
    const far = connect(server.port, '127.0.0.1');
    let isStruck = false;
    const strike = (): void => {
      near.resetAndDestroy();
      isAway = fault === 'the answer is lost, and then the server';
    };
    for (const socket of [near, far]) sockets.push(socket.on('error', () => undefined));
    near.on('data', (bytes) => {
      isRenaming ||= bytes.includes('RENAME TO');
      isStruck ||= isRenaming && bytes.includes('COMMIT');
      if (isStruck && fault === 'the command is lost') strike();
      else far.write(bytes);
    });
    far.on('data', (bytes) => {
      if (isStruck) strike();
      else near.write(bytes);
    });
    near.on('close', () => isStruck || far.destroy());
    far.on('close', () => near.destroy());
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const address = proxy.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      proxy.close();
      await once(proxy, 'close');
    },
  };
}

/** Nobody waits long for a server that stays away; one that is slow to answer has its minute. */
const hasty: Clock = {
  ...systemClock,
  sleep: (ms, options) => systemClock.sleep(ms < 60_000 ? Math.min(ms, 20) : ms, options),
};

describe('when the connection is lost at the COMMIT of the exchange, the server is asked', () => {
  let taken: Stored;
  beforeEach(async () => {
    taken = (await given(['shop'])).taken;
  });
  const through = ({ port }: { port: number }): Promise<Source> =>
    sourceOf(server, 'shop', { ...quick, url: `postgres://postgres@127.0.0.1:${port}/shop` }, { clock: hasty });

  test('it was done: the restore is complete, and what was to be dropped is dropped', async () => {
    await using port = await faultyPort('the answer is lost');
    expect((await restoreTo(await through(port), taken, { overwrite: true })).problems).toEqual([]);
    expect(await databases()).toEqual(['shop']);
    expect(await rows('shop')).toBe(1);
  });

  test('it was not done: the present database is what it was, and nothing else is left', async () => {
    await using port = await faultyPort('the command is lost');
    await expect(restoreTo(await through(port), taken, { overwrite: true })).rejects.toMatchObject({
      code: 'host.unreachable',
    });
    expect(await databases()).toEqual(['shop']);
    expect(await rows('shop')).toBe(2);
  });

  test('it cannot be asked: the error tells how to see which of both is so, and under which names', async () => {
    await using port = await faultyPort('the answer is lost, and then the server');
    const error = await restoreTo(await through(port), taken, { overwrite: true }).catch((failure: unknown) => failure);
    const [, aside] = (await databases()) as [string, string];
    expect(error).toMatchObject({
      code: 'host.unreachable',
      message: expect.stringContaining('could not be asked whether shop is the restored one'),
      remedy: expect.stringMatching(
        new RegExp(
          `if shop_restoring_\\w+ is, drop it.*; if it is not, shop is the restored one.* kept as ${aside}\\.`,
        ),
      ),
    });
    expect([await rows('shop'), await rows(aside)]).toEqual([1, 2]);
  });
});

describe('of several databases', () => {
  // Their first 40 bytes, which is what fits before the suffix, are the same.
  const names = ['a', 'b'].map((last) => `${'ü'.repeat(28)}_${last}`);
  const [a, b] = names as [string, string];

  test('those that were replaced before one fails are named, with what became of them', async () => {
    const { source, taken } = await given(names, { databases: names });
    const broken = acting(taken, async (path) => {
      if (path.endsWith(`${b}.dump`)) throw new Error('the repository is away');
      return undefined;
    });
    const error = await restoreTo(source, broken, {}).catch((failure: unknown) => failure);
    const all = await databases();
    const [aside] = all.filter((name) => !names.includes(name)) as [string];
    expect(all).toHaveLength(3);
    expect(error).toMatchObject({
      message: `the repository is away; before that: ${a} is restored, and what was there is kept as ${aside}`,
      remedy: expect.stringContaining(`it restores ${a} once more`),
    });
    expect(await Promise.all([a, aside, b].map(rows))).toEqual([1, 2, 2]);
  });

  test('long names that begin alike are kept under names of their own', async () => {
    const { source, taken } = await given(names, { databases: names });
    await restoreTo(source, taken, {});
    const kept = (await databases()).filter((name) => !names.includes(name));
    expect(kept).toHaveLength(2);
    expect(await Promise.all([a, b, ...kept].map(rows))).toEqual([1, 1, 2, 2]);
  });
});

describe('with --overwrite a present database is not dropped', () => {
  test('for a snapshot that leaves something out of it, also an older one of a source that does', async () => {
    const tables = ['t', 'audit', 'sessions', 'hist.h'].map((name) => `CREATE TABLE ${name} AS SELECT 1 AS id`);
    await make('parts', ['CREATE SCHEMA hist', ...tables].join(';'));
    const leaving = { excludeTables: ['public.audit', 'x.*'], excludeSchemas: ['hist', 'x'] };
    const emptying = { excludeTableData: ['public.sess*', 'x.*'] };
    const source = await sourceOf(server, 'parts', { ...quick, ...leaving, ...emptying });
    const taken = await bench.backUp(source);
    const refused = (all: string) => ({
      code: 'restore.target-exists',
      message: expect.stringContaining(`(all but ${all})`),
      remedy: expect.stringContaining('--to'),
    });
    const restored = restoreTo(source, taken, { overwrite: true });
    await expect(restored).rejects.toMatchObject(
      refused('the schema hist, the table public.audit, the rows of public.sess*'),
    );
    const old = acting(taken, (path) => withoutLeftOut(taken, path));
    const dry = { overwrite: true, dryRun: true } as const;
    await expect(restoreTo(source, old, dry)).rejects.toMatchObject(
      refused('the schema hist, the table public.audit, the table x.*, the rows of public.sess*'),
    );
    const { steps } = await restoreTo(source, taken, { dryRun: true });
    expect(steps.join()).toMatch(/all that is not in this part is then in parts_before_\d{14} only/);
    expect(await databases()).toEqual(['parts']);
  });

  test('with its logical replication slots, also one that came while the new one was filled', async () => {
    const { source, taken } = await given(['shop']);
    const slot = (name: string) =>
      server.run('shop', `SELECT pg_create_logical_replication_slot('${name}', 'pgoutput')`);
    const late = acting(taken, async (path) => {
      if (path.endsWith('.dump')) await slot('late');
      return undefined;
    });
    const done = await restoreTo(source, late, { overwrite: true });
    const [, aside] = (await databases()) as [string, string];
    expect(done.problems).toEqual([expect.stringContaining(`slot(s) late: it is kept as ${aside}`)]);
    expect(await server.run('postgres', 'SELECT slot_name, database FROM pg_replication_slots')).toEqual([
      ['late', aside],
    ]);
    expect([await rows('shop'), await rows(aside)]).toEqual([1, 2]);

    await slot('cdc');
    expect((await restoreTo(source, taken, { dryRun: true })).problems).toContainEqual(
      expect.stringMatching(/slot\(s\) cdc: it is kept as shop_before_\d{14}, .*keep WAL/),
    );
    const { steps, problems } = await restoreTo(source, taken, { overwrite: true, dryRun: true });
    expect(steps.join()).toMatch(/keep the present database shop aside as shop_before_\d{14},/);
    expect(problems).toEqual([
      expect.stringMatching(/slot\(s\) cdc: it is kept as shop_before_\d{14},/),
      expect.stringContaining(`the database ${aside} is what a restore with --overwrite replaced and did not drop`),
    ]);
  });
});

/** The facts as older versions wrote them. */
async function withoutLeftOut(taken: Stored, path: string): Promise<Buffer | undefined> {
  if (!path.endsWith('tools.json')) return undefined;
  await using opened = await taken.open();
  const parts: Uint8Array[] = [];
  for await (const part of opened.contents.read(path)) parts.push(Uint8Array.from(part));
  return Buffer.from(
    JSON.stringify(JSON.parse(Buffer.concat(parts).toString()), (key, value: unknown) =>
      key === 'leftOut' ? undefined : value,
    ),
  );
}
