/** What goes wrong while databases are backed up and restored. FAULTS: how many faults at random moments. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { HoldfastError } from '../../src/base/errors.ts';
import type { Bench } from '../../src/drivers/check.ts';
import { postgres } from '../../src/drivers/postgres/index.ts';
import { openDriverBench } from '../../src/operations/sources/driver-bench.ts';
import { storageKinds } from '../../src/storage/registry.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { seedPostgres } from '../servers/postgres-data.ts';
import { startTcpProxy } from '../servers/tcp-proxy.ts';
import { endProcess } from '../support/end-process.ts';
import type { FaultPlace } from './fault-place.ts';
import { describeFaults, type Victim } from './fault-trial.ts';
import { isDump, programs, restoreTo, secret, sourceOf, withCopy } from './postgres-proof.ts';

let server: PostgresServer;

beforeAll(async () => {
  server = await startPostgres({ password: secret, options: { autovacuum: 'off' } });
  await seedPostgres(server, 'bank');
  await server.run(
    'bank',
    'CREATE TABLE large AS SELECT i, repeat(md5(i::text), 40) AS text FROM generate_series(1, 40000) i; ALTER TABLE large ALTER text SET STORAGE PLAIN',
  );
});
afterAll(async () => await server?.[Symbol.asyncDispose]());

describeFaults({ title: 'PostgreSQL', driver: postgres, open: openVictim });

async function openVictim(place: FaultPlace): Promise<Victim> {
  // Servers of drills run as another user.
  chmodSync(place.folder, 0o755);
  const proxy = await startTcpProxy(server.port);
  const url = `postgres://postgres@127.0.0.1:${proxy.port}/bank`;
  let isStopped = false;
  let hasOtherPassword = false;
  const restart = async (): Promise<void> => {
    if (isStopped) await server.start();
    isStopped = false;
  };
  const setPassword = (to: string) => server.run('postgres', `ALTER ROLE postgres PASSWORD '${to}'`);
  return {
    source: () => sourceOf(server, 'bank', { url }),
    declared: { source: { url, password: secret } },
    faults: {
      'pg_dump killed': { strike: () => soon(killDump) },
      "pg_dump's session ended": { strike: () => soon(() => endSession("application_name = 'pg_dump'")) },
      'a session of ours ended': { strike: () => soon(() => endSession("application_name = 'holdfast'")) },
      'the connection cut': { strike: () => proxy.cut() },
      'the server stopped': {
        strike: async () => {
          isStopped = true;
          await server.stop();
        },
      },
      'a wrong password': {
        when: 'before',
        strike: async () => {
          hasOtherPassword = true;
          await setPassword('another');
        },
      },
    },
    async leftovers() {
      await restart();
      await server.run('bank', 'INSERT INTO entry (account, amount) VALUES (1, 0); TRUNCATE scratch');
      return (await server.run('postgres', left)).map(([what]) => String(what));
    },
    async [Symbol.asyncDispose]() {
      await restart();
      if (hasOtherPassword) await setPassword(secret);
      await proxy[Symbol.asyncDispose]();
    },
  };
}

const left = `
SELECT 'a session of ' || application_name || ': ' || query FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
UNION ALL SELECT 'a lock on ' || coalesce(relation::regclass::text, locktype) FROM pg_locks WHERE pid IS DISTINCT FROM pg_backend_pid()
UNION ALL SELECT 'the slot ' || slot_name FROM pg_replication_slots
UNION ALL SELECT 'the prepared transaction ' || gid FROM pg_prepared_xacts`;

/** Until there is somebody to strike, or the backup is over. */
async function soon(strike: () => boolean | Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 100 && !(await strike()); attempt++) await setTimeout(5);
}

function killDump(): boolean {
  const found = programs().filter(isDump);
  for (const { id } of found) endProcess(id);
  return found.length > 0;
}

async function endSession(which: string): Promise<boolean> {
  const one = `SELECT pid FROM pg_stat_activity WHERE ${which} ORDER BY random() LIMIT 1`;
  return (await server.run('postgres', `SELECT pg_terminate_backend(pid) FROM (${one}) victim`)).length > 0;
}

describe.runIf(process.getuid?.() === 0)('a disk too small for what is restored', () => {
  let bench: Bench & AsyncDisposable;
  let disk: string;
  beforeAll(async () => {
    bench = await openDriverBench({ driver: postgres, storageKinds, clock: systemClock });
    disk = mkdtempSync(join(tmpdir(), 'holdfast-small-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=90m,mode=755', 'tmpfs', disk]);
  });
  afterAll(async () => {
    execFileSync('umount', [disk]);
    rmSync(disk, { recursive: true });
    await bench[Symbol.asyncDispose]();
  });

  /** What it says. */
  const isFull = async (doing: Promise<unknown>): Promise<string> => {
    const error: unknown = await doing.then(
      () => 'it had room',
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(HoldfastError);
    const { message, remedy } = error as HoldfastError;
    expect(message).toMatch(/no (space|room)|full/i);
    expect(remedy).toMatch(/space|room/i);
    return message;
  };

  test('a drill says so, and leaves no server and no file', async () => {
    const source = await sourceOf(server, 'bank');
    const stored = await bench.backUp(source);
    const directory = mkdtempSync(join(disk, 'copy-'));
    const before = programs().length;
    await isFull(withCopy(bench, source, stored, async () => undefined, directory));
    expect(programs().length).toBe(before);
    rmSync(directory, { recursive: true, force: true });
    expect(readdirSync(disk)).toEqual([]);
  });

  test('a restore says so, and the present database is as it was', async () => {
    execFileSync('mount', ['-o', 'remount,size=60m', disk]);
    const { TMPDIR } = process.env;
    // Without room for its log a server crashes, and cannot say why.
    const log = join(tmpdir(), `holdfast-log-${process.pid}`);
    process.env.TMPDIR = disk;
    await using open = new AsyncDisposableStack();
    open.defer(() => rmSync(log, { recursive: true, force: true }));
    const small = open.use(await startPostgres({ password: secret, initdb: ['--waldir', log] }));
    process.env.TMPDIR = TMPDIR ?? '/tmp';
    await small.run('postgres', 'CREATE DATABASE bank');
    await small.run('bank', 'CREATE TABLE present AS SELECT 1 AS one');
    const source = await sourceOf(server, 'bank');
    const stored = await bench.backUp(source);
    const said = await isFull(restoreTo(await sourceOf(small, 'bank'), stored, { overwrite: true }));
    // A server may crash when it cannot write what a checkpoint needs; then the half-made database has to stay, and is named.
    execFileSync('mount', ['-o', 'remount,size=200m', disk]);
    await small.stop();
    await small.start();
    expect(await small.run('bank', 'SELECT one FROM present')).toEqual([[1]]);
    const names = (await small.run('postgres', 'SELECT datname FROM pg_database ORDER BY 1')).flat();
    const half = names.filter((name) => String(name).startsWith('bank_restoring_'));
    expect(names.filter((name) => !half.includes(name))).toEqual(['bank', 'postgres', 'template0', 'template1']);
    expect(half.length).toBe(said.includes('could not be removed') ? 1 : 0);
  });
});
