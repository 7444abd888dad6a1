import { expect, test } from 'vitest';
import { isOnlyUnknownTimeout } from './load.ts';

const complaint = `could not execute query: ERROR:  unrecognized configuration parameter "transaction_timeout"
Command was: SET transaction_timeout = 0;
`;
const one = `pg_restore: error: ${complaint}`;

test('that an older server does not know one setting is no failure, however often and mixed several jobs say so', () => {
  const summary = 'pg_restore: warning: errors ignored on restore: 2\n';
  expect(isOnlyUnknownTimeout(`${one}${summary}`)).toBe(true);
  expect(
    isOnlyUnknownTimeout(`${one}${one}${one}pg_restore: pg_restore: error: error: ${complaint}${complaint}${summary}`),
  ).toBe(true);
  const german = one.replace(/ERROR.*/, 'FEHLER:  unbekannter Konfigurationsparameter »transaction_timeout«');
  expect(isOnlyUnknownTimeout(`${german}${summary}`)).toBe(true);
  expect(isOnlyUnknownTimeout(`pg_restore: while INITIALIZING:\n${one}${summary}`)).toBe(true);
});

test('anything else beside it is one', () => {
  const other =
    'pg_restore: error: could not execute query: ERROR:  relation "t" already exists\nCommand was: CREATE TABLE t ();\n';
  expect(isOnlyUnknownTimeout(`${one}${other}`)).toBe(false);
  expect(isOnlyUnknownTimeout(`${other}${one}`)).toBe(false);
  expect(isOnlyUnknownTimeout(`${one}pg_restore: warning: column number 2 will be renamed\n`)).toBe(false);
  expect(isOnlyUnknownTimeout('')).toBe(false);
});
