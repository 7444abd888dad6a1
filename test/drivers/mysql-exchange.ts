/** What a restore in place must not lose, whatever breaks on the way: run on the server of another file. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { Secret } from '../../src/base/secrets.ts';
import type { Driver, RestoreOutcome, SourceContext } from '../../src/drivers/driver.ts';
import type { Settings } from '../../src/drivers/mysql/settings.ts';
import { databases } from '../servers/database-asks.ts';
import type { RightsTrial } from './mysql-rights.ts';

type Stored = Awaited<ReturnType<ReturnType<RightsTrial['bench']>['backUp']>>;

/** Seconds are hundredths; what asks a server again within less is left alone. */
const clock: typeof systemClock = {
  ...systemClock,
  sleep: (ms, options) => systemClock.sleep(ms < 1000 ? ms : ms / 100, options),
};
const quick = { databases: ['store'], users: false, lockWaitSeconds: 1 };

export function describeExchange({ flavour, driver, server, bench, source }: RightsTrial): void {
  describe('an exchange that breaks', () => {
    let stored: Stored;
    let before: string;
    const run = (...statements: string[]): Promise<void> => server().run(...statements);
    const at = (port: number, given: object = {}): SourceContext<Settings> =>
      source({ ...quick, url: `${flavour}://root@127.0.0.1:${port}`, ...given }, { clock });
    const restore = (one: SourceContext<Settings>, overwrite = false): Promise<RestoreOutcome> =>
      restoreOf(driver, one, stored, overwrite);

    async function ask(sql: string): Promise<string[]> {
      const connection = await server().connect();
      const [rows] = await connection.query({ sql, rowsAsArray: true });
      await connection.end();
      return (rows as unknown[][]).map((row) => row.join(' '));
    }

    /** Tables, rows, everything that has a definition, and who may run a routine. */
    async function state(database = 'store'): Promise<string> {
      const lists = [
        `SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = '${database}' ORDER BY 1`,
        `SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = '${database}' ORDER BY 1`,
        `SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = '${database}' ORDER BY 1`,
        `SELECT EVENT_NAME, STATUS FROM information_schema.EVENTS WHERE EVENT_SCHEMA = '${database}' ORDER BY 1`,
        `SELECT * FROM ${database}.orders ORDER BY 1`,
        `SELECT User, Routine_name, Proc_priv FROM mysql.procs_priv WHERE Db = '${database}'`,
      ];
      const parts: string[] = [];
      for (const sql of lists) parts.push((await ask(sql)).join(', '));
      return parts.join('\n');
    }

    async function besides(): Promise<string[]> {
      return (await databases(server())).filter((name) => /_restoring_|_before_/.test(name));
    }

    async function expectUntouched(): Promise<void> {
      expect(await state()).toBe(before);
      expect(await besides()).toEqual([]);
    }

    async function dropBesides(): Promise<void> {
      for (const name of await besides()) await run(`DROP DATABASE ${name}`);
    }

    beforeAll(async () => {
      await run(
        'CREATE DATABASE store',
        'CREATE TABLE store.orders (id INT PRIMARY KEY, v INT)',
        'INSERT INTO store.orders VALUES (1, 1)',
        'CREATE VIEW store.big AS SELECT id FROM store.orders WHERE v > 1',
        'CREATE PROCEDURE store.p() SELECT 1',
        'CREATE TRIGGER store.acts BEFORE INSERT ON store.orders FOR EACH ROW SET NEW.v = NEW.v + 1',
        "CREATE USER clerk@'%' IDENTIFIED BY 'clerk', few@'%' IDENTIFIED BY 'few'",
        "GRANT EXECUTE ON PROCEDURE store.p TO clerk@'%'",
        "GRANT ALL PRIVILEGES ON `store%`.* TO few@'%'",
        flavour === 'mysql' ? "GRANT SHOW_ROUTINE ON *.* TO few@'%'" : "GRANT SELECT ON mysql.proc TO few@'%'",
      );
      stored = await bench().backUp(at(server().port));
      await run(
        'INSERT INTO store.orders VALUES (2, 2)',
        'CREATE TABLE store.only_now (id INT PRIMARY KEY)',
        'CREATE VIEW store.newer AS SELECT id FROM store.orders',
        'CREATE EVENT store.daily ON SCHEDULE EVERY 1 DAY DO SELECT 1',
      );
      before = await state();
    });
    afterAll(() => run('DROP DATABASE store', "DROP USER clerk@'%', few@'%'"));

    test('the answer to the exchange is lost: everything present is there again', async () => {
      await using proxy = await strikingProxy(server().port, 'RENAME TABLE', async (pass, cut) => {
        pass();
        while ((await besides()).length < 2 || (await ask(movedTables)).length === 0);
        cut();
      });
      await expect(restore(at(proxy.port))).rejects.toMatchObject({ code: 'host.unreachable' });
      await expectUntouched();
    });

    test('the connection is lost while the exchange waits for a lock: it is not done afterwards either', async () => {
      const reader = await server().connect();
      await using proxy = await strikingProxy(server().port, 'RENAME TABLE', async (pass, cut) => {
        await reader.query('BEGIN');
        await reader.query('SELECT * FROM store.only_now');
        pass();
        while ((await ask(waitingRename)).length === 0);
        cut();
      });
      const ended = await restore(at(proxy.port, { lockWaitSeconds: 60 })).catch((error: unknown) => error);
      await reader.end();
      expect(ended).toMatchObject({ code: 'host.unreachable' });
      await expectUntouched();
    });

    test('the network is gone for good: what was dropped is written down on the server, and the error says where', async () => {
      await using proxy = await strikingProxy(server().port, 'RENAME TABLE', async (_pass, cut) => cut(true));
      const broken = restore(at(proxy.port)).catch((error: unknown) => error);
      const [aside] = (await broken.then(besides)).filter((name) => name.includes('_before_'));
      expect(await broken).toMatchObject({ remedy: expect.stringContaining(`\`${aside}\`.\`holdfast_programs\``) });
      const written = await ask(`SELECT kind, name, definition FROM ${aside}.holdfast_programs ORDER BY number`);
      expect(written.map((row) => row.split(' ').slice(0, 2).join(' '))).toEqual([
        ...['database store', 'procedure p', 'view big', 'view newer', 'trigger acts', 'event daily', 'grant p'],
      ]);
      {
        await using captured = await driver.capture(at(server().port));
        expect(captured.notes()).toContainEqual(
          expect.stringContaining(`a restore of store did not come to its end: ${aside}`),
        );
      }
      const missing = written.flatMap((row) => /^(?:trigger acts|event daily) (.*)/s.exec(row)?.[1] ?? []);
      await run('USE store', ...missing);
      await dropBesides();
      await expectUntouched();
    });

    test('who could not make again what is there does not drop it', async () => {
      const password = { from: 'clear', secret: new Secret('few') };
      const one = at(server().port, { url: `${flavour}://few@127.0.0.1:${server().port}`, password });
      const refused = {
        code: 'restore.failed',
        message: expect.stringMatching(/user few could not make .*nothing was touched/),
      };
      await expect(restore(one)).rejects.toMatchObject(refused);
      await expectUntouched();
    });

    test('a transaction that stands in the way is not waited for without end, and nothing is dropped meanwhile', async () => {
      const idle = await server().connect('store');
      await idle.query('BEGIN');
      await idle.query('SELECT * FROM only_now');
      const stop = new AbortController();
      const sleep: typeof clock.sleep = (_ms, options) => {
        stop.abort();
        return systemClock.sleep(0, options);
      };
      const one = { ...at(server().port), signal: stop.signal, clock: { ...clock, sleep } };
      const ended = await restore(one).catch((error: unknown) => error);
      await idle.end();
      expect(ended).toMatchObject({ code: 'cancelled' });
      await expectUntouched();
    });

    test('what a source leaves out of its backups is not dropped, and that is said before anything is done', async () => {
      const { stored: whole } = { stored };
      stored = await bench().backUp(
        at(server().port, { excludeTables: ['store.only*'], excludeTableData: ['store.orders'] }),
      );
      const refused = restore(at(server().port), true);
      await expect(refused).rejects.toMatchObject({
        code: 'restore.target-invalid',
        message: expect.stringContaining('store.only_now, store.orders (rows)'),
      });
      stored = whole;
      await expectUntouched();
    });

    test('the connection is lost when everything is in place: it is told as done, and tidied up', async () => {
      await using proxy = await strikingProxy(server().port, 'DROP DATABASE `store_restoring', async (_pass, cut) =>
        cut(),
      );
      expect((await restore(at(proxy.port))).problems).toEqual([]);
      const [aside, ...others] = await besides();
      expect(others).toEqual([]);
      const withoutRights = before.replace(/\nclerk.*$/, '\n').replace('daily ENABLED', 'daily DISABLED');
      expect(await state(aside)).toBe(withoutRights);
      await run(`DROP DATABASE ${aside}`);
    });

    test('two restores of one database at once do not take each other’s databases; rights on routines stay', async () => {
      const one = at(server().port);
      const ended = await Promise.allSettled([restore(one, true), restore(one, true)]);
      expect(ended.some(({ status }) => status === 'fulfilled')).toBe(true);
      for (const end of ended) {
        if (end.status === 'fulfilled') expect(end.value.problems).toEqual([]);
        else expect(end.reason).toMatchObject({ code: 'source.busy' });
      }
      expect(await state()).toBe('big VIEW, orders BASE TABLE\np\nacts\n\n1 1\nclerk p Execute');
      expect(await besides()).toEqual([]);
    });
  });
}

const movedTables =
  "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA LIKE 'store_before_%' AND TABLE_NAME = 'only_now'";
const waitingRename =
  "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE 'RENAME TABLE%' AND STATE LIKE 'Waiting%'";

async function restoreOf(
  driver: Driver<Settings>,
  one: SourceContext<Settings>,
  stored: Stored,
  overwrite: boolean,
): Promise<RestoreOutcome> {
  await using opened = await stored.open();
  return await driver.restore(one, opened.contents, { host: one.host, dryRun: false, overwrite });
}

/** Passes everything on until a statement comes with these words: then `strike` says what becomes of it, once. */
async function strikingProxy(
  port: number,
  words: string,
  strike: (pass: () => void, cut: (forGood?: boolean) => void) => Promise<void>,
): Promise<AsyncDisposable & { readonly port: number }> {
  let isStruck = false;
  let isGone = false;
  const proxy = createServer((near) => {
    near.on('error', () => {});
    if (isGone) return void near.resetAndDestroy();
    const far = connect(port, '127.0.0.1').on('error', () => {});
    let isCut = false;
    const cut = (forGood = false): void => {
      isGone = forGood;
      near.resetAndDestroy();
      if (forGood) far.destroy();
    };
    near.on('data', (chunk) => {
      if (isStruck || !chunk.includes(words)) return void far.write(chunk);
      isStruck = true;
      isCut = true; // the server is not told that nobody listens any more
      void strike(() => void far.write(chunk), cut);
    });
    far.on('data', (chunk) => void (isCut || near.write(chunk)));
    far.on('close', () => near.destroy());
    near.on('close', () => void (isCut || far.destroy()));
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const address = proxy.address();
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    async [Symbol.asyncDispose]() {
      isGone = true;
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}
