import { expect, test } from 'vitest';
import { ownGrant } from './accounts.ts';
import { accountIn } from './restore-accounts.ts';

test('a statement tells whom it is about, however names are quoted', () => {
  const found = [
    "CREATE USER IF NOT EXISTS 'o''brien'@'10.%' IDENTIFIED WITH 'x' AS 'y'",
    "GRANT SELECT (`a TO b`) ON `d`.`t` TO `o'brien`@`10.%` WITH GRANT OPTION",
    "GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION",
    'REVOKE SELECT ON `crm`.* FROM `a``b`@`%`',
    'SET DEFAULT ROLE `teller` FOR `u`@`%`',
    'ALTER USER `u`@`%` DEFAULT ROLE `teller`@`%`',
    'CREATE ROLE IF NOT EXISTS `teller`',
    'GRANT `teller`@`%` TO `u`@`%`',
    'DO 1',
  ].map(accountIn);
  expect(found).toEqual([
    "`o'brien`@`10.%`",
    "`o'brien`@`10.%`",
    '`root`@`localhost`',
    '`a``b`@`%`',
    '`u`@`%`',
    '`u`@`%`',
    '`teller`',
    '`u`@`%`',
    undefined,
  ]);
});

test('a grant says nothing of how the account signs in', () => {
  const grant = 'GRANT ALL PRIVILEGES ON *.* TO `app`@`%`';
  const more = ' REQUIRE SSL WITH GRANT OPTION';
  for (const way of [
    '',
    " IDENTIFIED BY PASSWORD '*0123456789ABCDEF'",
    ' IDENTIFIED VIA unix_socket',
    " IDENTIFIED VIA mysql_native_password USING '*01' OR unix_socket OR ed25519 USING 'a\\'b IDENTIFIED'",
  ])
    expect(ownGrant(`${grant}${way}${more}`)).toBe(`${grant}${more}`);
  const named = "GRANT USAGE ON *.* TO `x IDENTIFIED BY PASSWORD 'y'`@`%`";
  expect(ownGrant(named)).toBe(named);
});
