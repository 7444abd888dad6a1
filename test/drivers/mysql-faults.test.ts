/**
 * Random faults at random moments of backups of a MariaDB: none may leave a snapshot, a session, a lock, a process or a file,
 * each is an error with a remedy, and the next backup works. FAULTS=100 for a long proof; SEED to do one again.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { systemClock } from '../../src/base/clock.ts';
import { HoldfastError } from '../../src/base/errors.ts';
import { Secret } from '../../src/base/secrets.ts';
import type { Bench } from '../../src/drivers/check.ts';
import { unattended } from '../../src/drivers/conformance/context.ts';
import type { SourceContext } from '../../src/drivers/driver.ts';
import { mariadb } from '../../src/drivers/mysql/index.ts';
import { type Settings, settings } from '../../src/drivers/mysql/settings.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import { openDriverBench } from '../../src/operations/sources/driver-bench.ts';
import { faultyStorage } from '../../src/storage/faulty.ts';
import { storageKinds } from '../../src/storage/registry.ts';
import type { AnyStorageKind } from '../../src/storage/storage.ts';
import { seedBank } from '../servers/bank.ts';
import { cuttingProxy, databases, killSessions, sessions } from '../servers/database-asks.ts';
import { type DatabaseServer, rootPassword, startMariadb } from '../servers/mariadb.ts';

const faults = Number(process.env.FAULTS ?? 4);
let seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const holdfast = fileURLToPath(new URL('../../bin/holdfast', import.meta.url));
const host = localHost();
let server: DatabaseServer;
let bench: Bench & AsyncDisposable;
let usualMs = 0;

/** A linear congruence: the same rounds for the same seed. */
function random(): number {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
  return seed / 2 ** 32;
}

const place = mkdtempSync(join(tmpdir(), 'struck-'));
process.env.TMPDIR = place;

beforeAll(async () => {
  server = await startMariadb();
  await seedBank(server, 'mariadb');
  await server.run(
    'CREATE DATABASE bulk',
    'USE bulk',
    'CREATE TABLE bulk.t (id INT PRIMARY KEY, v VARBINARY(3000))',
    'INSERT INTO bulk.t SELECT seq, REPEAT(UNHEX(SHA2(seq, 512)), 40) FROM seq_1_to_6000',
  );
  bench = await openDriverBench({ driver: mariadb, storageKinds, clock: systemClock });
  const startedMs = performance.now();
  await bench.backUp(source());
  usualMs = performance.now() - startedMs;
});
afterAll(async () => {
  await bench?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
  rmSync(place, { recursive: true, force: true });
});

function source(given: { port?: number; password?: string } = {}): SourceContext<Settings> {
  const password = { from: 'clear', secret: new Secret(given.password ?? rootPassword) };
  const url = `mariadb://root@127.0.0.1:${given.port ?? server.port}`;
  return unattended({ name: 'struck', host, local: host, settings: settings.parse({ url, password }) });
}

type Outcome = 'struck' | 'came too late';

/** What a backup does that is struck somewhere between its begin and its usual end. */
async function struckAt(given: SourceContext<Settings>, strike: () => Promise<void>): Promise<Outcome> {
  const before = await bench.countSnapshots();
  const running = bench.backUp(given).then(
    () => undefined,
    (error: unknown) => error,
  );
  await sleep(random() * usualMs);
  await strike();
  return await judge(await running, before);
}

/** A backup that was faster than its fault is whole. */
async function judge(error: unknown, before: number): Promise<Outcome> {
  const after = await bench.countSnapshots();
  if (error === undefined) {
    expect(after).toBe(before + 1);
    return 'came too late';
  }
  expect(error).toBeInstanceOf(HoldfastError);
  expect((error as HoldfastError).code, String(error)).not.toBe('internal');
  expect((error as HoldfastError).remedy.length).toBeGreaterThan(10);
  expect(after).toBe(before);
  return 'struck';
}

const kinds: Readonly<Record<string, () => Promise<Outcome>>> = {
  'sessions killed': () => struckAt(source(), () => killSessions(server)),
  'server crashed': () =>
    struckAt(source(), async () => {
      await server.kill();
      await server.restart();
    }),
  async 'connection cut'() {
    await using proxy = await cuttingProxy(server.port, Math.floor(random() ** 3 * 400_000));
    return await struckAt(source({ port: proxy.port }), async () => {});
  },
  'wrong password': () => struckAt(source({ password: 'wrong' }), async () => {}),
  async 'repository full'() {
    const fullAfterBytes = 20_000 + random() * 300_000;
    const full = storageKinds.map(
      (kind): AnyStorageKind => ({
        ...kind,
        open: async (...args) => faultyStorage(await kind.open(...args), { seed, fullAfterBytes }),
      }),
    );
    await using small = await openDriverBench({ driver: mariadb, storageKinds: full, clock: systemClock });
    const stored = small.backUp(source());
    await expect(stored).rejects.toMatchObject({ code: 'storage.full' });
    expect(await small.countSnapshots()).toBe(0);
    return 'struck';
  },
  'program killed': killProgram,
};

/** The program itself, as people run it. */
async function killProgram(): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'struck-'));
  try {
    const config = join(folder, 'holdfast.yaml');
    const env = { ...process.env, STRUCK_KEY: 'key', STRUCK_PASSWORD: rootPassword };
    const entry = {
      ...{ driver: 'mariadb', url: `mariadb://root@127.0.0.1:${server.port}`, repository: 'main' },
      password: { env: 'STRUCK_PASSWORD' },
      // Once it was crashed and started, MariaDB has lost a grant on a routine of the database whose name is not ASCII.
      users: false,
    };
    const repositories = { main: { url: join(folder, 'repository'), password: { env: 'STRUCK_KEY' } } };
    writeFileSync(config, stringify({ repositories, sources: { struck: entry } }));
    const run = (...argv: string[]): string => {
      const ran = spawnSync(holdfast, ['--config', config, '--json', ...argv], { env, encoding: 'utf8' });
      expect(ran.status, ran.stdout + ran.stderr).toBe(0);
      return ran.stdout;
    };
    run('repo', 'init', 'main');
    const child = spawn(holdfast, ['--config', config, 'backup', 'struck'], { env, stdio: 'ignore' });
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    await sleep(300 + random() * (usualMs + 1500));
    expect(commandLines().filter((line) => line.includes(rootPassword))).toEqual([]);
    child.kill('SIGKILL');
    const killed = (await ended) === null;
    // Killed between its last write and its end, it had done everything: then that has to be true.
    const stored = snapshotsIn(run('snapshots'));
    if (stored > 0) expect(run('drill', 'struck')).toContain('"ok":true');
    if (!killed) expect(stored).toBe(1);
    run('backup', 'struck');
    expect(snapshotsIn(run('snapshots'))).toBe(stored + 1);
    return stored === 0 ? 'struck' : 'came too late';
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function snapshotsIn(json: string): number {
  const found = JSON.parse(json) as { snapshots: unknown[] } | unknown[];
  return (Array.isArray(found) ? found : found.snapshots).length;
}

/** Nothing of a backup is left: no session, no lock, no process, no file. */
async function expectNothingLeft(filesBefore: ReadonlySet<string>): Promise<void> {
  expect(await sessions(server)).toEqual([]);
  const connection = await server.connect('bank');
  try {
    await connection.query('SET SESSION lock_wait_timeout = 2, innodb_lock_wait_timeout = 2');
    await connection.query('UPDATE account SET balance = balance WHERE id = 1');
    await connection.query('FLUSH TABLES WITH READ LOCK');
    await connection.query('UNLOCK TABLES');
    await connection.query('ALTER TABLE account COMMENT = "unlocked"');
  } finally {
    await connection.end();
  }
  expect(ownFiles().filter((name) => !filesBefore.has(name))).toEqual([]);
  expect(children().filter((line) => /mariadbd|mysqld/.test(line) && !line.includes(server.folder))).toEqual([]);
}

/** What is in the place for temporary files, which is this test's own. */
function ownFiles(): string[] {
  return readdirSync(tmpdir());
}

function children(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => read(pid, 'stat').split(') ')[1]?.split(' ')[1] === String(process.pid))
    .map((pid) => read(pid, 'cmdline').replaceAll('\0', ' '));
}

function commandLines(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => read(pid, 'cmdline'));
}

function read(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return '';
  }
}

test(`${faults} faults at random moments leave nothing behind (seed ${seed})`, async () => {
  const names = Object.keys(kinds);
  const seen: Record<string, number> = {};
  for (let round = 0; round < faults; round++) {
    const name = names[round % names.length];
    const [filesBefore, seedBefore] = [new Set(ownFiles()), seed];
    try {
      const outcome = await kinds[name]();
      seen[`${name}: ${outcome}`] = (seen[`${name}: ${outcome}`] ?? 0) + 1;
      await expectNothingLeft(filesBefore);
    } catch (error) {
      throw new Error(`round ${round}, ${name}, seed ${seedBefore}`, { cause: error });
    }
  }
  console.log(JSON.stringify(seen));
  const before = await bench.countSnapshots();
  await bench.backUp(source());
  expect(await bench.countSnapshots()).toBe(before + 1);
}, 3_600_000);

test('a full disk at the place of a drill or of a restore’s server is said, and nothing stays', async () => {
  await using opened = await (await bench.backUp(source())).open();
  const small = mkdtempSync(join(tmpdir(), 'full-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=110m,mode=755', 'tmpfs', small]);
  } catch {
    rmSync(small, { recursive: true });
    return; // Only root can make a disk that is full.
  }
  try {
    const drilled = mariadb.restoreThrowaway(source(), opened.contents, { directory: small, host });
    await expect(drilled).rejects.toSatisfy(
      (error) => error instanceof HoldfastError && /room|space/i.test(`${error.message} ${error.remedy}`),
    );
    expect(children().filter((line) => line.includes(small))).toEqual([]);
  } finally {
    execFileSync('umount', [small]);
    rmSync(small, { recursive: true });
  }
  expect((await databases(server)).filter((name) => /_restoring_|_before_/.test(name))).toEqual([]);
});
