import { expect, test } from 'vitest';
import { createDatabase } from './runbook.ts';
import type { DatabaseFacts } from './source-facts.ts';

const facts = { encoding: 'UTF8', collate: 'de_DE.UTF-8', ctype: 'C', provider: 'libc' } as unknown as DatabaseFacts;
const start = `CREATE DATABASE "shop" TEMPLATE template0 ENCODING 'UTF8'`;

test('a database is made with the collation it had, whatever the server makes others with', () => {
  const libc = `${start} LC_COLLATE 'de_DE.UTF-8' LC_CTYPE 'C'`;
  expect(createDatabase(facts, 'shop', { major: 14 })).toBe(libc);
  expect(createDatabase(facts, 'shop', { major: 15 })).toBe(`${libc} LOCALE_PROVIDER libc`);
  const icu = { ...facts, provider: 'icu', locale: 'de', icuRules: '&a < b' };
  expect(createDatabase(icu, 'shop', { major: 16 })).toBe(
    `${libc} LOCALE_PROVIDER icu ICU_LOCALE 'de' ICU_RULES '&a < b'`,
  );
  expect(createDatabase(facts, 'shop', { major: 16, plain: true })).toBe(`${start} LC_COLLATE 'C' LC_CTYPE 'C'`);
});
