/** What the driver says of itself, against real servers. PG_DRILLS: how many drills of backups under writers. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { Bench } from '../../src/drivers/check.ts';
import type { RestoredCopy } from '../../src/drivers/driver.ts';
import { postgres } from '../../src/drivers/postgres/index.ts';
import { openDriverBench } from '../../src/operations/sources/driver-bench.ts';
import { storageKinds } from '../../src/storage/registry.ts';
import { clientPrograms, type PostgresRelease, type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { seedPostgres, startBankWriters, total } from '../servers/postgres-data.ts';
import { endProcess } from '../support/end-process.ts';
import {
  compare,
  failedOf,
  host,
  isDump,
  programs,
  read,
  restoreTo,
  type Source,
  type Stored,
  secret,
  sessions,
  sourceOf,
  withCopy as withCopyOf,
} from './postgres-proof.ts';

const drills = Number(process.env.PG_DRILLS ?? 1);

let bench: Bench & AsyncDisposable;
const place = mkdtempSync(join(tmpdir(), 'holdfast-trial-'));
const before = process.env.TMPDIR;
beforeAll(async () => {
  chmodSync(place, 0o755);
  process.env.TMPDIR = place;
  bench = await openDriverBench({ driver: postgres, storageKinds, clock: systemClock });
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  const left = readdirSync(place);
  process.env.TMPDIR = before ?? '/tmp';
  rmSync(place, { recursive: true, force: true });
  expect(left).toEqual([]);
});

const start = (release: PostgresRelease, options: Record<string, string> = {}) =>
  startPostgres({ release, password: secret, options });

const withCopy = <T>(source: Source, stored: Stored, task: (copy: RestoredCopy) => Promise<T>): Promise<T> =>
  withCopyOf(bench, source, stored, task);

for (const release of [14, 16] as const) {
  describe(`PostgreSQL ${release}`, () => {
    let server: PostgresServer;
    beforeAll(async () => {
      server = await start(release);
      await seedPostgres(server, 'bank');
    });
    afterAll(async () => await server[Symbol.asyncDispose]());

    test(`backups under writers restore exactly, and one changed row is found (${drills} times)`, async () => {
      await using _ = await startBankWriters(server, 'bank');
      const source = await sourceOf(server, 'bank');
      for (let i = 0; i < drills; i++) {
        const stored = await bench.backUp(source);
        await withCopy(source, stored, async (copy) => {
          expect(failedOf(await compare(stored, copy))).toEqual([]);
          expect(await copy.query!('SELECT sum(balance) FROM public.account')).toBe(String(total));
          expect(
            await copy.query!(
              'SELECT count(*) FROM public.account a WHERE balance <> 1000 + coalesce((SELECT sum(amount) FROM public.entry WHERE account = a.id), 0)',
            ),
          ).toBe('0');
          await copy.query!(`UPDATE public.account SET balance = balance + 1 WHERE id = ${1 + i}`);
          expect(failedOf(await compare(stored, copy)).map(({ subject, measure }) => `${subject} ${measure}`)).toEqual([
            'table public.account checksum',
          ]);
        });
      }
    });
  });
}

describe('PostgreSQL 15', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await start(15);
    await seedPostgres(server, 'bank');
  });
  afterAll(async () => await server[Symbol.asyncDispose]());

  test('a dump that is killed and sessions that are ended leave no snapshot and nothing else', async () => {
    await server.run(
      'bank',
      'CREATE TABLE large AS SELECT i, repeat(md5(i::text), 40) AS text FROM generate_series(1, 40000) i',
    );
    const count = await bench.countSnapshots();
    const end = async (which: string): Promise<boolean> =>
      (await server.run('postgres', `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${which}`)).length >
      0;
    const victims: readonly (() => Promise<boolean>)[] = [
      async () => killPrograms(),
      () => end("application_name = 'pg_dump'"),
      async () => isDumping() && (await end("application_name = 'holdfast' AND xact_start IS NOT NULL")),
    ];
    for (const strike of victims) {
      const ended = expect(bench.backUp(await sourceOf(server, 'bank'))).rejects.toMatchObject({
        name: 'HoldfastError',
      });
      while (!(await strike())) await setTimeout(2);
      await ended;
      expect(await sessions(server)).toEqual([]);
    }
    expect(await bench.countSnapshots()).toBe(count);
    await server.run('bank', 'DROP TABLE large');
  });

  test('a table that is emptied several times a second neither stops a backup nor is torn', async () => {
    const stop = new AbortController();
    // What nobody can hold is a table emptied more often than pg_dump starts, which takes its time on a busy machine.
    const startedMs = performance.now();
    const bin = await clientPrograms(server.release);
    const env = { ...process.env, PGPASSWORD: secret };
    execFileSync(join(bin, 'pg_dump'), ['--schema-only', '-d', server.url('bank')], { env, stdio: 'ignore' });
    const pauseMs = Math.max(200, 2 * (performance.now() - startedMs));
    const emptying = (async () => {
      const client = await server.client('bank');
      while (!stop.signal.aborted) {
        await client.query('BEGIN; TRUNCATE scratch; INSERT INTO scratch SELECT generate_series(1, 50); COMMIT');
        await setTimeout(pauseMs);
      }
      await client.end();
    })();
    const source = await sourceOf(server, 'bank');
    try {
      for (let i = 0; i < 3; i++) {
        const stored = await bench.backUp(source);
        await withCopy(source, stored, async (copy) => {
          expect(failedOf(await compare(stored, copy))).toEqual([]);
          expect(await copy.query!('SELECT count(*) FROM public.scratch')).toBe('50');
        });
      }
    } finally {
      stop.abort();
      await emptying;
    }
  });

  test('the password is in no argument of any program', async () => {
    const seen: string[] = [];
    const source = await sourceOf(server, 'bank', {}, { report: () => void seen.push(...commandLines()) });
    const stored = await bench.backUp(source);
    seen.push(...commandLines());
    await withCopy(source, stored, async () => void seen.push(...commandLines()));
    expect(seen.some((line) => line.includes('geheim'))).toBe(false);
    expect((await read(stored, '/.holdfast/tools.json')).toString()).not.toContain('geheim');
  });

  test('a second backup of a slightly changed database stores little, and pg_restore reads the dump', async () => {
    await server.run(
      'bank',
      'CREATE TABLE bulk AS SELECT i, md5(i::text) || md5((i * 7)::text) AS text FROM generate_series(1, 200000) i',
    );
    const source = await sourceOf(server, 'bank');
    const first = await bench.backUp(source);
    await server.run('bank', "UPDATE bulk SET text = 'other' WHERE i = 30000");
    const second = await bench.backUp(source);
    expect(second.addedBytes).toBeLessThan(first.addedBytes / 2);
    const file = join(await bench.directory(), 'bank.dump');
    writeFileSync(file, await read(second, '/postgres/bank.dump'));
    const bin = await clientPrograms(15);
    await server.run('postgres', 'CREATE DATABASE by_hand TEMPLATE template0');
    execFileSync(join(bin, 'pg_restore'), [
      '--exit-on-error',
      '-h',
      server.folder,
      '-p',
      String(server.port),
      '-U',
      'postgres',
      '-d',
      'by_hand',
      file,
    ]);
    expect(await server.run('by_hand', "SELECT count(*)::int FROM bulk WHERE text = 'other'")).toEqual([[1]]);
    await server.run('postgres', 'DROP DATABASE by_hand');
    await server.run('bank', 'DROP TABLE bulk');
  });

  test('a restore in place keeps the present database aside, and one that fails changes nothing', async () => {
    const source = await sourceOf(server, 'bank');
    const stored = await bench.backUp(source);
    await server.run('bank', 'DELETE FROM entry; UPDATE account SET balance = 0');
    const stranger = await server.client('bank');
    await expect(restoreTo(source, stored, {})).rejects.toMatchObject({ code: 'source.busy' });
    await stranger.end();
    const { steps } = await restoreTo(source, stored, {});
    const aside = /aside as (\S+)/.exec(steps.join('\n'))![1];
    expect(await server.run('bank', 'SELECT sum(balance)::int FROM account')).toEqual([[total]]);
    expect(await server.run(aside, 'SELECT sum(balance)::int FROM account')).toEqual([[0]]);
    await server.run('postgres', `DROP DATABASE "${aside}"`);
    const databases = await server.run('postgres', 'SELECT datname FROM pg_database ORDER BY 1');
    expect(databases.flat()).toEqual(['bank', 'postgres', 'template0', 'template1']);
  });

  test('one table comes back with its index, its sequence and nothing else', async () => {
    const source = await sourceOf(server, 'bank');
    const stored = await bench.backUp(source);
    await restoreTo(source, stored, { target: 'one', include: ['public.entry'] });
    expect(
      await server.run('one', "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"),
    ).toEqual([['entry'], ['entry_id_seq'], ['entry_pkey']]);
    expect(await server.run('one', 'SELECT count(*)::int FROM entry')).toEqual(
      await server.run('bank', 'SELECT count(*)::int FROM entry'),
    );
    await server.run('postgres', 'DROP DATABASE one');
  });

  test('an extension the server lacks is named before anything is touched', async () => {
    const source = await sourceOf(server, 'bank');
    const stored = await bench.backUp(source);
    await using opened = await stored.open();
    const tools = JSON.parse((await read(stored, '/.holdfast/tools.json')).toString()) as {
      databases: { extensions: unknown[] }[];
    };
    tools.databases[0].extensions.push({ name: 'postgis', version: '3', schema: 'public' });
    const contents = {
      ...opened.contents,
      id: opened.contents.id,
      read: (path: string) =>
        path.endsWith('tools.json') ? [Buffer.from(JSON.stringify(tools))] : opened.contents.read(path),
    } as unknown as typeof opened.contents;
    await expect(postgres.restore(source, contents, { host, dryRun: false, overwrite: true })).rejects.toMatchObject({
      code: 'restore.target-invalid',
      remedy: expect.stringContaining('postgresql-15-postgis-3'),
    });
  });

  test('every database, in the format directory, with odd names', async () => {
    const odd = ['../up', '-dash', "o'ne=1", 'ÜñÍ 😀'];
    for (const name of odd) {
      await server.run('postgres', `CREATE DATABASE "${name}"`);
      await server.run(
        name,
        `CREATE TABLE t AS SELECT i, '${name.replaceAll("'", "''")}' AS name FROM generate_series(1, 100) i`,
      );
    }
    const source = await sourceOf(server, 'postgres', { databases: 'all', exclude: ['bank'], format: 'directory' });
    const stored = await bench.backUp(source);
    await withCopy(source, stored, async (copy) => {
      const checks = await compare(stored, copy);
      expect(failedOf(checks)).toEqual([]);
      for (const name of odd) expect(checks.map(({ subject }) => subject)).toContain(`${name}: table public.t`);
    });
    for (const name of odd) await server.run('postgres', `DROP DATABASE "${name}"`);
  });

  test('what is left out is left out on both sides', async () => {
    const source = await sourceOf(server, 'bank', {
      excludeTables: ['public.part*'],
      excludeTableData: ['public.entry'],
      excludeSchemas: ['Odd*'],
    });
    await server.run('bank', 'DROP MATERIALIZED VIEW summary');
    const stored = await bench.backUp(source);
    await withCopy(source, stored, async (copy) => {
      expect(failedOf(await compare(stored, copy))).toEqual([]);
      expect(await copy.query!('SELECT count(*) FROM public.entry')).toBe('0');
    });
  });
});

test('a dump of 12 restored into 15 has every fact that both versions tell alike', async () => {
  await using server = await start(12);
  await seedPostgres(server, 'bank');
  const source = await sourceOf(server, 'bank');
  const stored = await bench.backUp(source);
  const newer = { ...source, settings: { ...source.settings, binDirectory: ['/usr/lib/postgresql/15/bin'] } };
  await withCopy(newer, stored, async (copy) => {
    expect(copy.instance).toMatch(/PostgreSQL 15/);
    expect(failedOf(await compare(stored, copy))).toEqual([]);
  });
});

function commandLines(): string[] {
  return programs().map(({ line }) => line);
}

function isDumping(): boolean {
  return commandLines().some((line) => line.includes('pg_dump\0'));
}

/** True if there was one. */
function killPrograms(): boolean {
  const found = programs().filter(isDump);
  for (const { id } of found) endProcess(id);
  return found.length > 0;
}
