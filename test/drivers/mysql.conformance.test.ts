import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mysqlClient from 'mysql2/promise';
import { afterAll } from 'vitest';
import { Secret } from '../../src/base/secrets.ts';
import { unattended } from '../../src/drivers/conformance/context.ts';
import type { SourceContext } from '../../src/drivers/driver.ts';
import { mariadb, mysql } from '../../src/drivers/mysql/index.ts';
import { type Settings, settings } from '../../src/drivers/mysql/settings.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import { seedBank, startWriters } from '../servers/bank.ts';
import { sessions } from '../servers/database-asks.ts';
import { type DatabaseServer, rootPassword, startMariadb } from '../servers/mariadb.ts';
import { mysqlPrograms, startMysql } from '../servers/mysql.ts';
import { type DriverTrial, describeDriver } from './trial.ts';

// Of this file alone: throwaway servers of suites that run at the same time are not what was left behind here.
const place = mkdtempSync(join(tmpdir(), 'holdfast-mysql-'));
process.env.TMPDIR = place;
afterAll(() => rmSync(place, { recursive: true, force: true }));

describeDriver('MariaDB', () => openTrial('mariadb', () => startMariadb()));

const programs = await mysqlPrograms();
if (programs) describeDriver('MySQL 9', () => openTrial('mysql', () => startMysql(programs), programs));

async function openTrial(
  flavour: 'mariadb' | 'mysql',
  start: () => Promise<DatabaseServer>,
  binDirectory?: string,
): Promise<DriverTrial> {
  const [server, other] = [await start(), await start()];
  await seedBank(server, flavour);
  const host = localHost();
  const sourceAt = (given: object): SourceContext<Settings> => {
    const password = { from: 'clear', secret: new Secret(rootPassword) };
    const parsed = settings.parse({ password, binDirectory, users: false, databases: ['bank'], ...given });
    return unattended({ name: 'bank', host, local: host, settings: parsed });
  };
  const url = `${flavour}://root@127.0.0.1:${server.port}`;
  const elsewhere = `${flavour}://root@127.0.0.1:${other.port}`;
  return {
    driver: flavour === 'mariadb' ? mariadb : mysql,
    server: await versionOf(server),
    source: sourceAt({ url }),
    trial: {
      disturb: () => startWriters(server),
      async damage({ environment }) {
        const connection = await mysqlClient.createConnection({
          socketPath: environment.HOLDFAST_COPY_SOCKET,
          user: environment.HOLDFAST_COPY_USER,
          password: environment.HOLDFAST_COPY_PASSWORD,
        });
        await connection.query('UPDATE bank.account SET balance = balance + 1 WHERE id = 7');
        await connection.end();
      },
      refused: [
        sourceAt({ url, password: { from: 'clear', secret: new Secret('wrong') } }),
        sourceAt({ url: `${flavour}://root@127.0.0.1:1` }),
        sourceAt({ url, databases: ['missing'] }),
        sourceAt({ url, tls: {} }),
      ],
      elsewhere: async () => ({ target: `${elsewhere}/bank`, source: sourceAt({ url: elsewhere }) }),
      async leftovers() {
        const folders = readdirSync(place).filter((name) => !/^holdfast-(mysql|mariadb|check)/.test(name));
        return [...(await sessions(server)), ...folders];
      },
    },
    async [Symbol.asyncDispose]() {
      for (const one of [server, other]) await one[Symbol.asyncDispose]();
    },
  };
}

async function versionOf(server: DatabaseServer): Promise<string> {
  const connection = await server.connect();
  const [rows] = await connection.query('SELECT VERSION() AS version');
  await connection.end();
  const [{ version }] = rows as { version: string }[];
  return /mariadb/i.test(version) ? `MariaDB ${version.split('-')[0]}` : `MySQL ${version.split('-')[0]}`;
}
