/** What a backup refuses to leave out for lack of rights, and what a restore leaves alone: run on the server of another file. */
import mysqlClient from 'mysql2/promise';
import { expect, test } from 'vitest';
import type { Bench } from '../../src/drivers/check.ts';
import type { Driver, SourceContext } from '../../src/drivers/driver.ts';
import type { Settings } from '../../src/drivers/mysql/settings.ts';
import type { DatabaseServer } from '../servers/mariadb.ts';

export interface RightsTrial {
  readonly flavour: 'mariadb' | 'mysql';
  readonly driver: Driver<Settings>;
  server(): DatabaseServer;
  bench(): Bench;
  /** Of root, unless `given` says otherwise. */
  source(given?: object, more?: Partial<SourceContext<Settings>>): SourceContext<Settings>;
}

export function describeRights({ flavour, driver, server, bench, source }: RightsTrial): void {
  const run = (...statements: string[]): Promise<void> => server().run(...statements);

  /** What one may do who signs in with this password; `undefined` if it is refused. */
  async function grantsOf(user: string, password: string): Promise<string | undefined> {
    const given = { host: '127.0.0.1', port: server().port, user, password };
    const connection = await mysqlClient.createConnection(given).catch(() => undefined);
    if (!connection) return undefined;
    const [rows] = await connection.query({ sql: 'SHOW GRANTS', rowsAsArray: true });
    await connection.end();
    return (rows as string[][]).map(([grant]) => grant).join('\n');
  }

  test('accounts that are there keep their password and rights, others are made with theirs, and what cannot be given is told', async () => {
    await run(
      'CREATE DATABASE ledger',
      'CREATE TABLE ledger.t (id INT PRIMARY KEY)',
      "CREATE USER app@'%' IDENTIFIED BY 'old one'",
      "GRANT ALL PRIVILEGES ON *.* TO app@'%'",
      "CREATE USER gone@'%' IDENTIFIED BY 'its own'",
      "GRANT SELECT ON ledger.* TO gone@'%'",
      "GRANT SELECT ON ledger.t TO gone@'%'",
    );
    const one = source({ databases: ['ledger'] });
    await using opened = await (await bench().backUp(one)).open();
    await run("DROP USER app@'%', gone@'%'", 'DROP DATABASE ledger', "CREATE USER app@'%' IDENTIFIED BY 'new one'");
    const request = { host: one.host, dryRun: false, overwrite: false, include: ['users.sql'] };
    const { problems } = await driver.restore(one, opened.contents, request);
    expect(await grantsOf('app', 'old one')).toBeUndefined();
    expect(await grantsOf('app', 'new one')).not.toMatch(/ALL PRIVILEGES|SELECT/);
    expect(await grantsOf('gone', 'its own')).toContain('GRANT SELECT ON `ledger`.*');
    // the table is not there
    expect(problems).toEqual([expect.stringMatching(/^of the account `gone`@`%` a right .*`ledger`\.`t`/)]);
    expect(problems.join()).not.toMatch(/IDENTIFIED|\*[0-9A-F]{40}/);
    await run("DROP USER app@'%', gone@'%'");
  });
}
