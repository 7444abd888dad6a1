/** What a dump must not lose, what a failed backup must not leave, and what a restore keeps. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { HoldfastError } from '../../src/base/errors.ts';
import { Secret } from '../../src/base/secrets.ts';
import type { Bench } from '../../src/drivers/check.ts';
import { unattended } from '../../src/drivers/conformance/context.ts';
import type { RestoredCopy, SnapshotContents, SourceContext } from '../../src/drivers/driver.ts';
import { mariadb, mysql } from '../../src/drivers/mysql/index.ts';
import { dumpFileName } from '../../src/drivers/mysql/names.ts';
import { type Settings, settings } from '../../src/drivers/mysql/settings.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import { type Check, parseFingerprint } from '../../src/model/fingerprint.ts';
import { openDriverBench } from '../../src/operations/sources/driver-bench.ts';
import { storageKinds } from '../../src/storage/registry.ts';
import { invariants, rowChanges, seedBank, startWriters, strangeDatabase } from '../servers/bank.ts';
import { cuttingProxy, databases, killSessions, sessions, tables } from '../servers/database-asks.ts';
import { type DatabaseServer, mariadbPlugins, rootPassword, startMariadb } from '../servers/mariadb.ts';
import { mysqlPrograms, startMysql } from '../servers/mysql.ts';
import { describeExchange } from './mysql-exchange.ts';
import { describeKept } from './mysql-kept.ts';
import { describeRights } from './mysql-rights.ts';

const drills = Number(process.env.MYSQL_DRILLS ?? 1);
const programs = await mysqlPrograms();

describe('MariaDB', () => suite('mariadb', () => startMariadb({ arguments: [`--plugin-dir=${mariadbPlugins()}`] })));
if (programs) describe('MySQL 9', () => suite('mysql', () => startMysql(programs), programs));

function suite(flavour: 'mariadb' | 'mysql', start: () => Promise<DatabaseServer>, binDirectory?: string): void {
  const driver = flavour === 'mariadb' ? mariadb : mysql;
  const host = localHost();
  let server: DatabaseServer;
  let bench: Bench & AsyncDisposable;
  beforeAll(async () => {
    server = await start();
    await seedBank(server, flavour);
    const captured = { ...driver, capture: captureThen(driver.capture) };
    bench = await openDriverBench({ driver: captured, storageKinds, clock: systemClock });
  });
  afterAll(async () => {
    await bench?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });

  /** What happens once the moment is held and before anything was read. */
  let act: (() => Promise<void>) | undefined;
  function captureThen(capture: typeof driver.capture): typeof driver.capture {
    return async (one) => {
      const held = await capture(one);
      const acting = act?.();
      act = undefined;
      await acting;
      return held;
    };
  }

  function source(given: object = {}, more: Partial<SourceContext<Settings>> = {}): SourceContext<Settings> {
    const password = { from: 'clear', secret: new Secret(rootPassword) };
    const url = `${flavour}://root@127.0.0.1:${server.port}`;
    const parsed = settings.parse({ url, password, binDirectory, ...given });
    return unattended({ name: 'everything', host, local: host, settings: parsed, ...more });
  }

  async function drill(contents: SnapshotContents, given: object = {}): Promise<{ checks: Check[]; balance: string }> {
    const directory = await bench.directory();
    await using copy = await driver.restoreThrowaway(source(given), contents, { directory, host });
    expectSecretsHidden(directory, copy.environment.HOLDFAST_COPY_PASSWORD);
    const checks = await copy.compare(parseFingerprint(await textOf(contents, '/.holdfast/fingerprint.json')));
    const balance = await copy.query!(invariants).catch((error: unknown) => String(error));
    return { checks, balance };
  }

  test('a whole server comes back exactly: every type, hostile names, views of views, routines, triggers, events, accounts', async () => {
    await using opened = await (await bench.backUp(source())).open();
    const { checks, balance } = await drill(opened.contents);
    expect(checks.filter(({ ok }) => !ok)).toEqual([]);
    expect(checks.length).toBeGreaterThan(40);
    expect(balance).toBe('0');
    const dump = await textOf(opened.contents, `/mysql/${dumpFileName(strangeDatabase)}`);
    expect(dump).toContain('\u{1f600}');
    const facts = JSON.parse(await textOf(opened.contents, '/.holdfast/server.json')) as {
      binaryLog?: { file: string };
    };
    expect(facts.binaryLog?.file).toMatch(/^binlog\.\d+$/);
  });

  test(`under writers every backup is one moment, and its facts are of that moment (${drills} times)`, async () => {
    for (let round = 0; round < drills; round++) {
      await using writers = await startWriters(server, 3);
      await using opened = await (await bench.backUp(source({ users: false }))).open();
      await writers[Symbol.asyncDispose]();
      const { checks, balance } = await drill(opened.contents);
      expect(checks.filter(({ ok }) => !ok)).toEqual([]);
      expect(balance, `round ${round}`).toBe('0');
      expect(writers.commits()).toBeGreaterThan(0);
    }
  });

  test(`one changed row of a copy is noticed, in its table and nowhere else (${drills} times)`, async () => {
    await using opened = await (await bench.backUp(source({ users: false }))).open();
    const expected = parseFingerprint(await textOf(opened.contents, '/.holdfast/fingerprint.json'));
    await using copy = await driver.restoreThrowaway(source({ users: false }), opened.contents, {
      directory: await bench.directory(),
      host,
    });
    if (flavour === 'mariadb') await expectReached(copy);
    for (let round = 0; round < drills; round++) {
      const { table, choose, change, back } = rowChanges[round % rowChanges.length];
      const which = await copy.query!(choose);
      await copy.query!(change.replace('?', which));
      const failed = (await copy.compare(expected)).filter(({ ok }) => !ok);
      expect(
        failed.map(({ subject }) => subject),
        `round ${round}: ${change} ${which}`,
      ).toContain(`table ${table}`);
      expect(new Set(failed.map(({ subject }) => subject)).size).toBe(1);
      await copy.query!(back.replace('?', which));
    }
    expect((await copy.compare(expected)).filter(({ ok }) => !ok)).toEqual([]);
  });

  test('tables without transactions are held while they are read, refused, or left as they are: as the settings say', async () => {
    const only = { databases: [strangeDatabase], users: false };
    const notesOf = async (nonTransactional: string): Promise<string> => {
      await using captured = await driver.capture(source({ ...only, nonTransactional }));
      return captured.notes().join('\n');
    };
    expect(await notesOf('lock')).toMatch(/waited until these were read: .*sam \(MyISAM\)/);
    expect(await notesOf('lock')).toMatch(/writers waited for .*(?:lock)/);
    expect(await notesOf('ignore')).toMatch(/maybe not of one moment: .*sam/);
    await expect(notesOf('refuse')).rejects.toMatchObject({ code: 'source.unsupported' });
  });

  test('a definition that changes during the backup ends it with an error that may be tried again', async () => {
    await server.run(
      'CREATE DATABASE moving',
      'CREATE TABLE moving.a (id INT PRIMARY KEY)',
      'CREATE TABLE moving.b (id INT PRIMARY KEY)',
    );
    const before = await bench.countSnapshots();
    for (const change of [
      'ALTER TABLE moving.b ADD COLUMN x INT',
      'CREATE TABLE moving.c (id INT)',
      'CREATE VIEW moving.v AS SELECT 1',
    ]) {
      act = () => server.run(change);
      const stored = bench.backUp(source({ databases: ['moving'] }));
      await expect(stored).rejects.toMatchObject({ code: 'source.changed', retry: 'later' });
    }
    expect(await bench.countSnapshots()).toBe(before);
    await server.run('DROP DATABASE moving');
  });

  test('excluded tables are not there, and those without their rows are there empty', async () => {
    const given = {
      databases: ['bank'],
      excludeTables: ['bank.tot*'],
      excludeTableData: ['bank.movement'],
      users: false,
    };
    await using opened = await (await bench.backUp(source(given))).open();
    const dump = await textOf(opened.contents, '/mysql/bank.sql');
    expect(dump).toContain('CREATE TABLE `movement`');
    expect(dump).not.toMatch(/INSERT INTO `movement`|total/);
    const facts = (await factsOf(opened.contents)).map((fact) => JSON.stringify(fact)).join('\n');
    expect(facts).toContain('"table bank.movement","measure":"definition"');
    expect(facts).not.toMatch(/"table bank.movement","measure":"rows"|bank.total/);
    // a drill of it must not look for what was left out
    if (flavour === 'mysql') return;
    const { checks } = await drill(opened.contents);
    expect(checks.filter(({ ok }) => !ok)).toEqual([]);
  });

  test('one row more in the middle stores about one statement, not the rest of the dump', async () => {
    await server.run(
      'CREATE DATABASE large CHARACTER SET utf8mb4',
      'USE large',
      'CREATE TABLE large.t (id INT PRIMARY KEY, v VARCHAR(300))',
      `INSERT INTO large.t WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
         SELECT a.i * 2000 + b.i * 2, CONCAT(SHA2(a.i * 7919 + b.i, 256), SHA2(a.i * 31 + b.i * 17, 512)) FROM n a JOIN n b WHERE a.i <= 100`,
    );
    const given = { databases: ['large'], users: false };
    const first = await bench.backUp(source(given));
    await server.run("INSERT INTO large.t VALUES (100001, 'new')", 'DELETE FROM large.t WHERE id = 150000');
    const second = await bench.backUp(source(given));
    expect(first.bytes).toBeGreaterThan(15 << 20);
    expect(second.addedBytes).toBeLessThan(6 << 20);
    await server.run('DROP DATABASE large');
  });

  test('a connection that is cut and sessions that are killed leave no snapshot, no session and no lock', async () => {
    const before = await bench.countSnapshots();
    await using proxy = await cuttingProxy(server.port, 3000);
    const cut = bench.backUp(source({ url: `${flavour}://root@127.0.0.1:${proxy.port}`, databases: ['bank'] }));
    await expect(cut).rejects.toSatisfy((error) => error instanceof HoldfastError && error.retry === 'later');
    act = () => killSessions(server);
    const ended = bench.backUp(source({ databases: ['bank'] }));
    await expect(ended).rejects.toSatisfy((error) => error instanceof HoldfastError && error.remedy.length > 10);
    expect(await bench.countSnapshots()).toBe(before);
    await server.run('UPDATE bank.account SET balance = balance WHERE id = 1', 'FLUSH TABLES');
    expect(await sessions(server)).toEqual([]);
  });

  test('a long statement does not hold everybody up: the backup gives up in time, and says so', async () => {
    const connection = await server.connect('bank');
    await connection.query('LOCK TABLES account WRITE');
    const given = { databases: ['bank', strangeDatabase], lockWaitSeconds: 1, users: false };
    const clock = { ...systemClock, sleep: () => Promise.resolve() };
    const stuck = bench.backUp(source(given, { clock }));
    await expect(stuck).rejects.toMatchObject({ code: 'source.busy', retry: 'later' });
    await connection.query('UNLOCK TABLES');
    await connection.end();
    await bench.backUp(source(given));
  });

  test('a restore back keeps the present database aside with its views and triggers, and one that fails changes nothing', async () => {
    const only = { databases: [strangeDatabase], users: false };
    await using opened = await (await bench.backUp(source(only))).open();
    const quoted = `\`${strangeDatabase.replaceAll('`', '``')}\``;
    await server.run(`DELETE FROM ${quoted}.zero`, `CREATE TABLE ${quoted}.newer (id INT)`);
    const request = { host, dryRun: false, overwrite: false };
    const dry = await driver.restore(source(only), opened.contents, { ...request, dryRun: true });
    expect(dry.steps.join('\n')).toContain('_before_');
    expect(await tables(server, `${strangeDatabase.slice(0, 20)}%`)).toContain('newer');
    await expectFailingRestore(opened.contents, only);
    const done = await driver.restore(source(only), opened.contents, request);
    expect(done.problems).toEqual([]);
    await using again = await (await bench.backUp(source(only))).open();
    expect(await factsOf(again.contents)).toEqual(await factsOf(opened.contents));
    const aside = (await databases(server)).find((name) => name.includes('_before_'));
    expect(await tables(server, aside!)).toEqual(expect.arrayContaining(['newer', 'a_top', 'sam']));
    await server.run(`DROP DATABASE \`${aside!.replaceAll('`', '``')}\``);
    expect((await databases(server)).filter((name) => /_restoring_|_before_/.test(name))).toEqual([]);
  });

  /** The snapshot with a statement at its end that no server takes: everything before it was done and must be undone. */
  async function expectFailingRestore(contents: SnapshotContents, only: object): Promise<void> {
    await using present = await (await bench.backUp(source(only))).open();
    const broken: SnapshotContents = {
      ...{
        id: contents.id,
        paths: contents.paths,
        node: (path) => contents.node(path),
        children: (path) => contents.children(path),
      },
      ...{
        contentLengths: (node) => contents.contentLengths(node),
        writeTree: (...args) => contents.writeTree(...args),
      },
      async *read(path) {
        const text = await textOf(contents, path);
        const bad =
          '\n-- section {"kind":"program","program":"view","name":"bad"}\nCREATE VIEW bad AS SELECT * FROM nowhere;\n';
        yield Buffer.from(text.replace('\n-- section {"kind":"end"}', `${bad}\n-- section {"kind":"end"}`));
      },
    };
    const failing = driver.restore(source(only), broken, { host, dryRun: false, overwrite: false });
    await expect(failing).rejects.toMatchObject({ code: 'restore.failed', message: expect.stringContaining('bad') });
    await using after = await (await bench.backUp(source(only))).open();
    expect(await factsOf(after.contents)).toEqual(await factsOf(present.contents));
    expect((await databases(server)).filter((name) => /_restoring_|_before_/.test(name))).toEqual([]);
  }

  test('one table comes back alone, and a table others refer to is refused', async () => {
    const only = { databases: ['bank'], users: false };
    await using opened = await (await bench.backUp(source(only))).open();
    await server.run('UPDATE bank.total SET sum = 0');
    const request = { host, dryRun: false, overwrite: true };
    await driver.restore(source(only), opened.contents, { ...request, include: ['bank.total'] });
    const connection = await server.connect('bank');
    const [rows] = await connection.query(invariants);
    await connection.end();
    expect(Object.values((rows as object[])[0]).map(String)).toEqual(['0']);
    const referred = driver.restore(source(only), opened.contents, { ...request, include: ['bank.account'] });
    await expect(referred).rejects.toMatchObject({ code: 'restore.target-invalid' });
    expect((await databases(server)).filter((name) => /_restoring_|_before_/.test(name))).toEqual([]);
  });

  test('a user who would not see everything is refused, with the grant that is missing', async () => {
    await server.run(
      "CREATE USER IF NOT EXISTS partly@'%' IDENTIFIED BY 'partly'",
      "GRANT SELECT, SHOW VIEW ON bank.* TO partly@'%'",
    );
    const password = { from: 'clear', secret: new Secret('partly') };
    const url = `${flavour}://partly@127.0.0.1:${server.port}`;
    const blind = bench.backUp(source({ url, password, databases: ['bank'], users: false }));
    await expect(blind).rejects.toMatchObject({
      code: 'source.unreadable',
      message: expect.stringContaining('lacks TRIGGER, EVENT, EXECUTE'),
    });
    await server.run("GRANT TRIGGER, EVENT, EXECUTE, LOCK TABLES ON bank.* TO partly@'%'");
    await bench.backUp(source({ url, password, databases: ['bank'], users: false }));
    await server.run("DROP USER partly@'%'");
  });

  describeRights({ flavour, driver, server: () => server, bench: () => bench, source });
  describeKept({ flavour, driver, server: () => server, bench: () => bench, source });
  describeExchange({ flavour, driver, server: () => server, bench: () => bench, source });

  if (flavour === 'mariadb') {
    test('the server’s own client loads a dump as it is', async () => {
      await using opened = await (await bench.backUp(source({ users: false }))).open();
      const folder = mkdtempSync(join(tmpdir(), 'holdfast-plain-'));
      await using other = await startMariadb();
      for (const name of ['bank', strangeDatabase]) {
        const input = await textOf(opened.contents, `/mysql/${dumpFileName(name)}`);
        const argv = [
          '--no-defaults',
          '--default-character-set=utf8mb4',
          '--comments',
          `--socket=${other.socket}`,
          '-uroot',
        ];
        const loaded = spawnSync('mariadb', argv, {
          input,
          env: { ...process.env, MYSQL_PWD: rootPassword },
          encoding: 'utf8',
        });
        expect(loaded.stderr).toBe('');
      }
      await other.run('CREATE ROLE teller');
      const url = `mariadb://root@127.0.0.1:${other.port}`;
      await using again = await (await bench.backUp(source({ url, users: false }))).open();
      expect(await factsOf(again.contents)).toEqual(await factsOf(opened.contents));
      rmSync(folder, { recursive: true });
    });
  }

  if (flavour === 'mysql') {
    test('TLS checks the certificate and its name unless told otherwise', async () => {
      const ca = join(server.folder, 'data', 'ca.pem');
      const [{ message }] = await driver.probe(source());
      const serverName = `MySQL_Server_${/[\d.]+/.exec(message)?.[0]}_Auto_Generated_Server_Certificate`;
      const levelOf = async (tls: object): Promise<string> => (await driver.probe(source({ tls })))[0].level;
      expect(await levelOf({ mode: 'unverified' })).toBe('ok');
      expect(await levelOf({ ca, serverName })).toBe('ok');
      expect(await levelOf({ ca })).toBe('error');
      expect(await levelOf({ serverName })).toBe('error');
    });
  }

  test('a server that is stopped in the middle leaves no snapshot', async () => {
    const before = await bench.countSnapshots();
    act = () => server.kill();
    const stored = bench.backUp(source({ databases: ['bank'] }));
    await expect(stored).rejects.toMatchObject({ code: 'host.unreachable' });
    expect(await bench.countSnapshots()).toBe(before);
  });
}

/** By a client that is told nothing, whatever the option files of this machine say. */
async function expectReached({ environment }: RestoredCopy): Promise<void> {
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, ...environment };
  const { stdout, stderr } = spawnSync('mariadb', ['-BNe', 'select @@socket'], { encoding: 'utf8', env });
  expect([stderr, stdout.trim()]).toEqual(['', environment.HOLDFAST_COPY_SOCKET]);
}

/** In no command line of any process, and in no file, while the copy runs. */
function expectSecretsHidden(directory: string, copyPassword: string): void {
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const lines = processes.map(commandLine).join('\n');
  expect(lines).toContain(directory);
  for (const secret of [rootPassword, copyPassword]) expect(lines).not.toContain(secret);
  const input = `${rootPassword}\n${copyPassword}\n`;
  const found = spawnSync('grep', ['-rlF', '-f', '-', directory], { encoding: 'utf8', input });
  expect(found.stdout).toBe('');
}

async function textOf(contents: SnapshotContents, path: string): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of contents.read(path)) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
}

async function factsOf(contents: SnapshotContents): Promise<readonly object[]> {
  return parseFingerprint(await textOf(contents, '/.holdfast/fingerprint.json'))!.facts;
}

function commandLine(id: string): string {
  try {
    return readFileSync(`/proc/${id}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return ''; // ended meanwhile
  }
}
