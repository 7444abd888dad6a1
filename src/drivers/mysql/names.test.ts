import fc from 'fast-check';
import { expect, test } from 'vitest';
import { orderViews, withoutCounter, withoutDatabase } from './catalog.ts';
import { choose } from './choice.ts';
import { databaseOf, dumpFileName, matcher, quoteName } from './names.ts';
import { grantsOf, parseGrant } from './privileges.ts';
import { placeOf } from './settings.ts';

test('every name of a database is one file name, and comes back from it', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), (name) => {
      const file = dumpFileName(name);
      expect(file).not.toMatch(/[/\0]|^\./);
      expect(databaseOf(file)).toBe(name);
    }),
  );
  expect(dumpFileName('users')).not.toBe('users.sql');
  expect(databaseOf('users.sql')).toBeUndefined();
});

test('patterns choose whole names', () => {
  const isChosen = matcher(['shop', 'tenant_*', 'a.b']);
  expect(['shop', 'shops', 'tenant_', 'tenant_x', 'axb', 'a.b'].map(isChosen)).toEqual([
    true,
    false,
    true,
    true,
    false,
    true,
  ]);
  const isOdd = matcher(['*a*b?*c']);
  expect(['abc', 'abxc', 'xaxbbxcxc', 'ab\u{1f600}c', 'abcx'].map(isOdd)).toEqual([false, true, true, true, false]);
  expect(matcher([`${'*?'.repeat(30)}*Z`])('a'.repeat(64))).toBe(false);
  expect(quoteName('a`b')).toBe('`a``b`');
});

test('a trigger loses the database of its head and nothing else', () => {
  const head = 'CREATE DEFINER=`root`@`%` TRIGGER';
  const body = 'BEFORE INSERT ON `sh``op` . `t` FOR EACH ROW SET NEW.a = (SELECT shop.t.a FROM shop.t)';
  expect(withoutDatabase(`${head} shop.tr ${body}`)).toBe(
    `${head} tr BEFORE INSERT ON \`t\` FOR EACH ROW SET NEW.a = (SELECT shop.t.a FROM shop.t)`,
  );
});

test('the counter that inserts move is no part of a definition', () => {
  const table = (counter: string): string =>
    `CREATE TABLE \`t\` (\n  \`id\` int COMMENT ') ENGINE=x AUTO_INCREMENT=3'\n) ENGINE=InnoDB${counter} DEFAULT CHARSET=utf8mb4`;
  expect(withoutCounter(table(' AUTO_INCREMENT=42'))).toBe(table(''));
  expect(withoutCounter(table(''))).toBe(table(''));
});

test('views come after the views they read from', () => {
  const view = (name: string, definition: string) => ({ kind: 'view', name, definition }) as const;
  const views = [
    view('a', 'select `b`.`x` AS `x` from (`c` join `b` on(`b`.`x` = 1))'),
    view('b', 'select 1 AS `a` from `c`'),
    view('c', 'select 1 AS `x`'),
  ];
  expect(orderViews(views).map(({ name }) => name)).toEqual(['c', 'b', 'a']);
});

test('a restore chooses databases, tables and accounts', () => {
  const names = ['shop', 'blog'];
  const chosen = (include: readonly string[], exclude: readonly string[] = []) =>
    choose(names, { include, exclude }).databases.map(({ name, wants }) => [name, wants?.('orders')]);
  expect(chosen([])).toEqual([
    ['shop', undefined],
    ['blog', undefined],
  ]);
  expect(chosen(['shop.ord*'])).toEqual([['shop', true]]);
  expect(chosen(['/mysql/blog.sql'])).toEqual([['blog', undefined]]);
  expect(chosen([], ['*.orders'])).toEqual([
    ['shop', false],
    ['blog', false],
  ]);
  expect(choose(names, { include: ['users.sql'] })).toEqual({ accounts: true, databases: [] });
  expect(() => choose(names, { include: ['nothing'] })).toThrow(/nothing in the snapshot fits/);
});

test('a grant covers what its pattern says', () => {
  const grant = parseGrant('GRANT SELECT, SHOW VIEW ON `te\\_st%`.* TO `u`@`%`');
  expect(['te_st', 'te_st2', 'teXst'].map((name) => grant?.covers('SELECT', name))).toEqual([true, true, false]);
  expect(grant?.covers('TRIGGER', 'te_st')).toBe(false);
  const folded = (on: boolean) =>
    parseGrant('GRANT SELECT ON `shop`.* TO `u`@`%`', false, on)?.covers('SELECT', 'Shop');
  expect([folded(false), folded(true)]).toEqual([false, true]);
  expect(parseGrant('GRANT ALL PRIVILEGES ON *.* TO `u`@`%` WITH GRANT OPTION')?.covers('EVENT', 'x')).toBe(true);
  expect(parseGrant('GRANT SELECT ON `a`.`b` TO `u`@`%`')).toBeUndefined();
});

test('what is revoked of one database is not there, unless it is granted on that database', () => {
  const all = 'GRANT ALL PRIVILEGES ON *.* TO `u`@`%`';
  const texts = [all, 'REVOKE TRIGGER, EVENT ON `c_m`.* FROM `u`@`%`', 'GRANT EVENT ON `c_m`.* TO `u`@`%`'];
  const { has, restricted, listsAll } = grantsOf(texts, true);
  expect(['SELECT', 'TRIGGER', 'EVENT'].map((privilege) => has(privilege, 'c_m'))).toEqual([true, false, true]);
  expect(has('TRIGGER', 'cxm')).toBe(true);
  expect([listsAll, restricted]).toEqual([true, []]);
  const reader = grantsOf(['GRANT SELECT ON *.* TO `u`@`%`', 'REVOKE SELECT ON `crm`.* FROM `u`@`%`'], true);
  expect([reader.listsAll, reader.restricted]).toEqual([true, ['crm']]);
  expect(grantsOf(['GRANT USAGE ON *.* TO `u`@`%`', 'GRANT SELECT ON `a_b`.* TO `u`@`%`'], true)).toMatchObject({
    listsAll: false,
  });
  const literal = (on: boolean) => grantsOf(['GRANT SELECT ON `a_b`.* TO `u`@`%`'], on).has('SELECT', 'axb');
  expect([literal(true), literal(false)]).toEqual([false, true]);
});

test('a URL says where and who', () => {
  expect(placeOf({ url: 'mariadb://back%40up@[::1]:3307/my%20shop' })).toEqual({
    address: { host: '::1', port: 3307 },
    hostName: '::1',
    title: '[::1]:3307',
    user: 'back@up',
    database: 'my shop',
  });
});
