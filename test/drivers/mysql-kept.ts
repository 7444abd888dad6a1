/** What a restore must bring back as it was, wherever it goes: run on the server of another file. */
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { RestoreOutcome, SourceContext } from '../../src/drivers/driver.ts';
import type { Settings } from '../../src/drivers/mysql/settings.ts';
import { parseFingerprint } from '../../src/model/fingerprint.ts';
import { databases } from '../servers/database-asks.ts';
import { type RightsTrial, textOf } from './mysql-rights.ts';

export function describeKept({ flavour, driver, server, bench, source }: RightsTrial): void {
  const run = (...statements: string[]): Promise<void> => server().run(...statements);
  const only = (name: string, given: object = {}): SourceContext<Settings> =>
    source({ databases: [name], users: false, ...given });

  async function ask(sql: string): Promise<string[]> {
    const connection = await server().connect();
    const [rows] = await connection.query({ sql, rowsAsArray: true });
    await connection.end();
    return (rows as unknown[][]).map((row) => row.join(' '));
  }

  /** A restore of a snapshot of this moment to each of these places, after `between`. */
  async function restored(
    one: SourceContext<Settings>,
    between: readonly string[],
    ...targets: (string | undefined)[]
  ): Promise<RestoreOutcome[]> {
    await using opened = await (await bench().backUp(one)).open();
    await run(...between);
    const outcomes: RestoreOutcome[] = [];
    for (const target of targets) {
      const request = { host: one.host, dryRun: false, overwrite: false, target };
      outcomes.push(await driver.restore(one, opened.contents, request));
    }
    return outcomes;
  }

  async function dropAll(name: string): Promise<void> {
    const all = (await databases(server())).filter((one) => one.startsWith(name));
    await run('SET foreign_key_checks = 0', ...all.map((one) => `DROP DATABASE ${one}`));
  }

  test('a foreign key to a table that the source leaves out refers to the one that is kept beside, and follows it back', async () => {
    await run(
      'CREATE DATABASE kin',
      'CREATE TABLE kin.parent (id INT PRIMARY KEY)',
      'CREATE TABLE kin.child (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES kin.parent (id))',
      'INSERT INTO kin.parent VALUES (1), (2)',
      'INSERT INTO kin.child VALUES (1)',
    );
    for (const given of [{}, { fingerprint: 'off' }]) {
      await restored(only('kin', { excludeTables: ['kin.parent'], ...given }), [], undefined);
      const [aside] = (await databases(server())).filter((name) => name.startsWith('kin_before'));
      await run(`RENAME TABLE ${aside}.parent TO kin.parent`, `DROP DATABASE ${aside}`);
      await run('INSERT INTO kin.child VALUES (2)', 'DELETE FROM kin.child WHERE id = 2');
    }
    await dropAll('kin');
  });

  test('accounts that cannot be read after databases were exchanged are a problem of a restore that is done', async () => {
    await run('CREATE DATABASE housed', 'CREATE TABLE housed.t (id INT PRIMARY KEY)');
    const one = only('housed', { users: true });
    await using opened = await (await bench().backUp(one)).open();
    const { contents } = opened;
    const read = contents.read.bind(contents);
    contents.read = (path) => read(path.endsWith('users.sql') ? '/.holdfast/server.json' : path);
    const request = { host: one.host, dryRun: false, overwrite: false, include: ['housed', 'users.sql'] };
    const { problems } = await driver.restore(one, contents, request);
    expect(problems).toEqual([
      expect.stringMatching(/^the databases are restored, the accounts are not: a dump .*does not end/),
    ]);
    await expect(driver.restore(one, contents, { ...request, include: ['users.sql'] })).rejects.toMatchObject({
      code: 'restore.failed',
    });
    await dropAll('housed');
  });

  if (flavour === 'mariadb') {
    test('a drill makes no file where the server keeps that of a table', async () => {
      const elsewhere = join(server().folder, 'elsewhere');
      mkdirSync(elsewhere);
      await run('CREATE DATABASE apart', `CREATE TABLE apart.t (id INT PRIMARY KEY) DATA DIRECTORY='${elsewhere}'`);
      const one = only('apart');
      await using opened = await (await bench().backUp(one)).open();
      const place = { directory: await bench().directory(), host: one.host };
      await using copy = await driver.restoreThrowaway(one, opened.contents, place);
      const facts = parseFingerprint(await textOf(opened.contents, '/.holdfast/fingerprint.json'));
      expect((await copy.compare(facts)).filter(({ ok }) => !ok)).toEqual([]);
      expect(readdirSync(elsewhere, { recursive: true })).toEqual(['apart', 'apart/t.ibd']);
      await dropAll('apart');
    });
  }

  test('a row that is too long for the server it is restored to is told with what that server needs', async () => {
    const [most] = await ask('SELECT @@GLOBAL.max_allowed_packet');
    await run(
      'CREATE DATABASE wide',
      'CREATE TABLE wide.t (id INT PRIMARY KEY, b LONGBLOB)',
      "INSERT INTO wide.t VALUES (1, REPEAT('b', 700000))",
    );
    const refused = restored(only('wide'), ['SET GLOBAL max_allowed_packet = 1048576'], undefined);
    await expect(refused).rejects.toMatchObject({
      code: 'restore.failed',
      remedy: expect.stringContaining('max_allowed_packet = 2097152'),
    });
    await run(`SET GLOBAL max_allowed_packet = ${most}`);
    await dropAll('wide');
  });

  if (flavour === 'mariadb') {
    test('an event whose time has passed since is in a drill, and is told by a restore', async () => {
      const one = only('planned');
      await run(
        'CREATE DATABASE planned',
        "SET timestamp = 1000000000, time_zone = '+00:00'",
        "CREATE EVENT planned.once ON SCHEDULE AT '2001-09-10 00:00:00' DO SELECT 1",
      );
      await using opened = await (await bench().backUp(one)).open();
      const directory = await bench().directory();
      {
        await using copy = await driver.restoreThrowaway(one, opened.contents, { directory, host: one.host });
        expect(await copy.query!('SELECT EVENT_NAME FROM information_schema.EVENTS')).toBe('once');
      }
      const [{ problems }] = await restored(one, [], undefined);
      expect(problems).toEqual([
        expect.stringMatching(/are not in planned, no server keeps them: once$/),
        expect.stringMatching(/are not in planned_before_.*holdfast_programs`: once$/),
      ]);
      await dropAll('planned');
    });

    test('a column that a sequence numbers is numbered by the restored one, wherever it is restored to', async () => {
      await run(
        'CREATE DATABASE numbered',
        'CREATE SEQUENCE numbered.number START WITH 7',
        'CREATE TABLE numbered.a (id INT PRIMARY KEY DEFAULT NEXTVAL(numbered.number))',
        'INSERT INTO numbered.a VALUES ()',
      );
      await restored(only('numbered'), ['DROP DATABASE numbered'], 'numbered_copy', undefined);
      await run('DROP DATABASE numbered_copy', 'INSERT INTO numbered.a VALUES ()');
      expect(await ask('SELECT MAX(id) > 7 FROM numbered.a')).toEqual(['1']);
      await dropAll('numbered');
    });
  }
}
