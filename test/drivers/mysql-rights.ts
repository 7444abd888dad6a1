/** What a backup refuses to leave out for lack of rights, and what a restore leaves alone: run on the server of another file. */
import mysqlClient from 'mysql2/promise';
import { expect, test } from 'vitest';
import { Secret } from '../../src/base/secrets.ts';
import type { Bench } from '../../src/drivers/check.ts';
import type { Driver, SnapshotContents, SourceContext } from '../../src/drivers/driver.ts';
import type { Settings } from '../../src/drivers/mysql/settings.ts';
import { type Check, type Fact, parseFingerprint } from '../../src/model/fingerprint.ts';
import type { RunEvent } from '../../src/model/run.ts';
import { databases } from '../servers/database-asks.ts';
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
  const as = (user: string, given: object): SourceContext<Settings> => {
    const password = { from: 'clear', secret: new Secret(user) };
    return source({ url: `${flavour}://${user}@127.0.0.1:${server().port}`, password, users: false, ...given });
  };

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

  test('a user who does not see every database makes no backup of all or of patterns, and one of no database is none', async () => {
    await run(
      'CREATE DATABASE shop',
      'CREATE TABLE shop.t (id INT PRIMARY KEY)',
      'CREATE DATABASE crm',
      "CREATE USER few@'%' IDENTIFIED BY 'few', reader@'%' IDENTIFIED BY 'reader'",
      "GRANT ALL PRIVILEGES ON shop.* TO few@'%'",
      "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, RELOAD ON *.* TO reader@'%'",
    );
    for (const databases of ['all', ['c*', 'shop']]) {
      const refused = { code: 'source.unreadable', message: expect.stringContaining('every database') };
      await expect(driver.capture(as('few', { databases }))).rejects.toMatchObject(refused);
    }
    await (await driver.capture(as('few', { databases: ['shop'] })))[Symbol.asyncDispose]();
    await using held = await driver.capture(as('reader', { databases: ['c*', 'shop'] }));
    expect(held.paths).toEqual(['/mysql/crm.sql', '/mysql/shop.sql']);
    const none = { code: 'source.missing', message: expect.stringContaining('has no database') };
    await expect(driver.capture(as('reader', { databases: 'all', exclude: ['*'] }))).rejects.toMatchObject(none);
    await held[Symbol.asyncDispose]();
    await run('DROP DATABASE shop', 'DROP DATABASE crm', "DROP USER few@'%', reader@'%'");
  });

  if (flavour === 'mysql') {
    test('what was revoked of one database is missing there, though it is granted on all', async () => {
      await run(
        'SET GLOBAL partial_revokes = ON',
        'CREATE DATABASE crm',
        'CREATE TABLE crm.people (id INT PRIMARY KEY)',
        'CREATE TRIGGER crm.acts BEFORE INSERT ON crm.people FOR EACH ROW SET NEW.id = NEW.id + 1',
        "CREATE USER part@'%' IDENTIFIED BY 'part', blind@'%' IDENTIFIED BY 'blind'",
        "GRANT ALL PRIVILEGES ON *.* TO part@'%'",
        "REVOKE TRIGGER, EVENT ON crm.* FROM part@'%'",
        "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON *.* TO blind@'%'",
        "REVOKE SELECT, SHOW VIEW, TRIGGER, EVENT ON crm.* FROM blind@'%'",
      );
      const lacks = {
        code: 'source.unreadable',
        message: expect.stringContaining('lacks TRIGGER, EVENT on the database crm'),
      };
      await expect(driver.capture(as('part', { databases: ['crm'] }))).rejects.toMatchObject(lacks);
      await expect(driver.capture(as('part', { databases: 'all' }))).rejects.toMatchObject(lacks);
      const hidden = { code: 'source.unreadable', message: expect.stringContaining('does not see the database crm') };
      await expect(driver.capture(as('blind', { databases: 'all' }))).rejects.toMatchObject(hidden);
      await (await driver.capture(as('part', { databases: 'all', exclude: ['crm'] })))[Symbol.asyncDispose]();
      await run("DROP USER part@'%', blind@'%'", 'DROP DATABASE crm', 'SET GLOBAL partial_revokes = OFF');
    });
  }

  const tellingOf = async (databases: string[]): Promise<{ notes: string; warnings: string[] }> => {
    const warnings: string[] = [];
    const report = (event: RunEvent): void => void (event.type === 'warning' && warnings.push(event.message));
    await using held = await driver.capture(source({ databases, users: false }, { report }));
    return { notes: held.notes().join('\n'), warnings };
  };

  test('rows that are in no dump are told', async () => {
    await run(
      'CREATE DATABASE parts',
      'CREATE TABLE parts.one (id INT PRIMARY KEY) ENGINE=MyISAM',
      'CREATE TABLE parts.whole (id INT PRIMARY KEY) ENGINE=MRG_MyISAM UNION=(parts.one)',
    );
    const { notes, warnings } = await tellingOf(['parts']);
    expect(notes).toMatch(/those of the tables they merge: parts\.whole \(MRG_MyISAM\)/i);
    expect(warnings).toEqual([]);
    await run('DROP DATABASE parts');
  });

  test('databases that need each other come back together: on an empty server, in place of others, or not at all', async () => {
    const names = ['app', 'core'];
    await run(
      'CREATE DATABASE app',
      'CREATE DATABASE core',
      'CREATE TABLE core.t (id INT PRIMARY KEY)',
      'INSERT INTO core.t VALUES (1)',
      'CREATE TABLE app.o (id INT PRIMARY KEY, c INT, FOREIGN KEY (c) REFERENCES core.t (id))',
      'INSERT INTO app.o VALUES (1, 1)',
      'CREATE TABLE core.back (id INT PRIMARY KEY, o INT, FOREIGN KEY (o) REFERENCES app.o (id))',
      'CREATE VIEW app.v AS SELECT * FROM core.t',
      'CREATE VIEW core.w AS SELECT * FROM app.v',
      'CREATE TRIGGER app.acts BEFORE INSERT ON app.o FOR EACH ROW SET NEW.id = NEW.id + 0',
    );
    const one = source({ databases: names, users: false });
    const request = { host: one.host, dryRun: false, overwrite: true };
    await using opened = await (await bench().backUp(one)).open();
    const facts = await factsOf(opened.contents);
    const now = async (): Promise<readonly object[]> => {
      await using again = await (await bench().backUp(one)).open();
      return await factsOf(again.contents);
    };

    await run('SET foreign_key_checks = 0', 'DROP DATABASE app', 'DROP DATABASE core');
    expect((await driver.restore(one, opened.contents, request)).problems).toEqual([]);
    expect(await now()).toEqual(facts);

    await run('INSERT INTO core.t VALUES (2)', 'UPDATE app.o SET c = 2');
    const kept = await driver.restore(one, opened.contents, { ...request, overwrite: false });
    expect(kept.problems).toEqual([]);
    expect(await now()).toEqual(facts);
    const aside = (await databases(server())).filter((name) => name.includes('_before_'));
    expect(aside.map((name) => name.replace(/_before.*/, ''))).toEqual(names);
    for (const name of aside) await run('SET foreign_key_checks = 0', `DROP DATABASE ${name}`);

    // a table that stays refers to the second of them
    await run('CREATE DATABASE stays', 'CREATE TABLE stays.s (c INT, FOREIGN KEY (c) REFERENCES core.t (id))');
    await run('INSERT INTO core.t VALUES (3)', 'UPDATE app.o SET c = 3');
    const changed = await now();
    const refused = driver.restore(one, opened.contents, request);
    await expect(refused).rejects.toMatchObject({ code: 'restore.target-invalid' });
    await run('DROP DATABASE stays');

    // the second of them has a view that cannot be made: both come back
    const failing = driver.restore(one, withBadView(opened.contents, '/mysql/core.sql'), request);
    await expect(failing).rejects.toMatchObject({ code: 'restore.failed', message: expect.stringContaining('bad') });
    expect(await now()).toEqual(changed);
    expect((await databases(server())).filter((name) => /_restoring_|_before_/.test(name))).toEqual([]);

    // one table, which refers to one that stays
    await driver.restore(one, opened.contents, { ...request, include: ['core.back'] });
    expect(await now()).toEqual(changed);
    await run('SET foreign_key_checks = 0', 'DROP DATABASE app', 'DROP DATABASE core');
  });

  test('databases whose names differ in case or accents alone are told apart, and so are the rights on them', async () => {
    for (const [at, name] of ['zu', 'zü', 'Zu'].entries()) {
      await run(
        `CREATE DATABASE \`${name}\``,
        `CREATE TABLE \`${name}\`.t (id INT PRIMARY KEY)`,
        `CREATE TABLE \`${name}\`.k (c INT, CONSTRAINT k${at} FOREIGN KEY (c) REFERENCES t (id))`,
        `CREATE TRIGGER \`${name}\`.acts${at} BEFORE INSERT ON \`${name}\`.t FOR EACH ROW SET NEW.id = NEW.id + 1`,
        `CREATE EVENT \`${name}\`.goes ON SCHEDULE EVERY 1 DAY DO SELECT 1`,
      );
    }
    const one = source({ databases: ['zu'], users: false });
    await using opened = await (await bench().backUp(one)).open();
    const { problems } = await driver.restore(one, opened.contents, { host: one.host, dryRun: false, overwrite: true });
    expect(problems).toEqual([]);
    await using again = await (await bench().backUp(one)).open();
    expect(await factsOf(again.contents)).toEqual(await factsOf(opened.contents));

    await run(
      "CREATE USER alike@'%' IDENTIFIED BY 'alike'",
      "GRANT ALL PRIVILEGES ON Zu.* TO alike@'%'",
      "GRANT SELECT, SHOW VIEW, EVENT, EXECUTE, LOCK TABLES ON zu.* TO alike@'%'",
    );
    const lacks = { code: 'source.unreadable', message: expect.stringContaining('lacks TRIGGER on the database zu') };
    await expect(driver.capture(as('alike', { databases: ['zu'] }))).rejects.toMatchObject(lacks);
    await run("DROP USER alike@'%'", 'DROP DATABASE zu', 'DROP DATABASE `zü`', 'DROP DATABASE Zu');
  });

  test('a table the user is not shown keeps what its key refers to, and that is told', async () => {
    const key = 'CREATE TABLE unseen.s (c INT, FOREIGN KEY (c) REFERENCES stock.t (id))';
    await run(
      'CREATE DATABASE stock',
      'CREATE TABLE stock.t (id INT PRIMARY KEY)',
      'INSERT INTO stock.t VALUES (1)',
      'CREATE DATABASE unseen',
      key,
      "CREATE USER few@'%' IDENTIFIED BY 'few'",
      "GRANT ALL PRIVILEGES ON `stock%`.* TO few@'%'",
    );
    const one = as('few', { databases: ['stock'] });
    await using opened = await (await bench().backUp(one)).open();
    const restored = async (overwrite: boolean): Promise<string> =>
      (await driver.restore(one, opened.contents, { host: one.host, dryRun: false, overwrite })).problems.join('\n');
    const dropKept = async (): Promise<number> => {
      const kept = (await databases(server())).filter((name) => name.startsWith('stock_before_'));
      for (const name of kept) await run(`DROP DATABASE ${name}`);
      return kept.length;
    };

    expect(await restored(true)).toMatch(/few is not shown has a foreign key to one in stock_before_/);
    await run('INSERT INTO unseen.s VALUES (1)', 'DROP TABLE unseen.s');
    expect(await dropKept()).toBe(1);
    expect(await restored(true)).toBe('');
    expect(await dropKept()).toBe(0);
    expect(await restored(false)).toMatch(/foreign keys to stock .*REFERENCES on \*\.\*/);
    expect(await dropKept()).toBe(1);
    await run(key, "GRANT REFERENCES ON *.* TO few@'%'");
    await expect(restored(true)).rejects.toMatchObject({ code: 'restore.target-invalid' });
    await run('DROP DATABASE unseen', 'DROP DATABASE stock', "DROP USER few@'%'");
  });

  if (flavour === 'mariadb') {
    test('the history of system-versioned tables is told to be missing, and what a copy cannot have of them fails no drill', async () => {
      await run(
        'CREATE DATABASE versions',
        'CREATE TABLE versions.plain (id INT PRIMARY KEY, n INT) WITH SYSTEM VERSIONING',
        'CREATE TABLE versions.explicit (id INT PRIMARY KEY, a TIMESTAMP(6) GENERATED ALWAYS AS ROW START, b TIMESTAMP(6) GENERATED ALWAYS AS ROW END, n INT, PERIOD FOR SYSTEM_TIME (a, b)) WITH SYSTEM VERSIONING',
        'INSERT INTO versions.plain VALUES (1, 1)',
        'INSERT INTO versions.explicit (id, n) VALUES (1, 1), (2, 2)',
        'UPDATE versions.plain SET n = 2',
        'UPDATE versions.explicit SET n = 3 WHERE id = 2',
      );
      const { notes, warnings } = await tellingOf(['versions']);
      expect(warnings).toEqual([expect.stringMatching(/history .*versions\.explicit .*versions\.plain/)]);
      expect(notes).toContain(warnings[0]);
      const one = source({ databases: ['versions'], users: false });
      await using opened = await (await bench().backUp(one)).open();
      const directory = await bench().directory();
      await using copy = await driver.restoreThrowaway(one, opened.contents, { directory, host: one.host });
      const facts = await textOf(opened.contents, '/.holdfast/fingerprint.json');
      const compared = async (): Promise<Check[]> => await copy.compare(parseFingerprint(facts));
      expect((await compared()).filter(({ ok }) => !ok)).toEqual([]);
      await copy.query?.('UPDATE versions.explicit SET n = 4 WHERE id = 2');
      const failed = (await compared()).filter(({ ok }) => !ok);
      expect(failed.map(({ subject, measure }) => `${subject} ${measure}`)).toEqual([
        'table versions.explicit checksum',
      ]);
      await run('DROP DATABASE versions');
    });

    test('tables whose rows lie outside of the server are told to be kept without them', async () => {
      await run(
        "INSTALL SONAME 'ha_federatedx'",
        'CREATE DATABASE far',
        'CREATE TABLE far.near (id INT PRIMARY KEY)',
        "CREATE USER other@'%'",
        "GRANT ALL PRIVILEGES ON far.* TO other@'%'",
        `CREATE TABLE far.away (id INT PRIMARY KEY) ENGINE=FEDERATED CONNECTION='mysql://other@127.0.0.1:${server().port}/far/near'`,
      );
      const { notes, warnings } = await tellingOf(['far']);
      expect(warnings).toEqual([expect.stringMatching(/outside of the server .*far\.away \(FEDERATED\)/)]);
      expect(notes).toContain(warnings[0]);
      await run('DROP DATABASE far', "DROP USER other@'%'", "UNINSTALL SONAME 'ha_federatedx'");
    });
  }
}

export async function textOf(contents: SnapshotContents, path: string): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const part of contents.read(path)) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
}

async function factsOf(contents: SnapshotContents): Promise<readonly Fact[]> {
  return parseFingerprint(await textOf(contents, '/.holdfast/fingerprint.json'))?.facts ?? [];
}

/** The snapshot with a statement at the end of one dump that no server takes. */
function withBadView(contents: SnapshotContents, broken: string): SnapshotContents {
  return {
    ...{ id: contents.id, paths: contents.paths },
    node: (path) => contents.node(path),
    children: (path) => contents.children(path),
    contentLengths: (node) => contents.contentLengths(node),
    writeTree: (...args) => contents.writeTree(...args),
    async *read(path) {
      const text = await textOf(contents, path);
      const bad =
        '\n-- section {"kind":"program","program":"view","name":"bad"}\nCREATE VIEW bad AS SELECT * FROM nowhere;\n';
      const end = '\n-- section {"kind":"end"}';
      yield Buffer.from(path === broken ? text.replace(end, `${bad}${end}`) : text);
    },
  };
}
