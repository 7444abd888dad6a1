import { expect, test } from 'vitest';
import type { DatabaseFacts } from './source-facts.ts';
import { statementsAfter, statementsBefore } from './statements.ts';

const facts = {
  breadth: 'schemas',
  owner: 'app',
  schemas: ['public', 'app', 'ext', 'other'],
  madeSchemas: ['public', 'app'],
  makesPublic: true,
  relations: [],
  settings: [],
  extensions: [
    { name: 'plpgsql', version: '1.0', schema: 'pg_catalog' },
    { name: 'adminpack', version: '2.1', schema: 'pg_catalog' },
    { name: 'citext', version: '1.6', schema: 'ext' },
    { name: 'hstore', version: '1.8', schema: 'app' },
  ],
} as unknown as DatabaseFacts;

test('a dump of schemas gets those its extensions are in and it does not make, and no public', () => {
  expect(statementsBefore(facts, 'shop', false)).toEqual(['DROP SCHEMA public', 'CREATE SCHEMA IF NOT EXISTS "ext"']);
});

test('a dump of schemas that does not say what it makes gets none', () => {
  expect(statementsBefore({ ...facts, madeSchemas: undefined }, 'shop', false)).toEqual(['DROP SCHEMA public']);
});

test('single tables get every schema and extension, a whole dump nothing', () => {
  const all = { ...facts, breadth: 'all' } as const;
  expect(statementsBefore(all, 'shop', false)).toEqual([]);
  expect(statementsBefore(all, 'shop', true)).toEqual(statementsBefore({ ...facts, breadth: 'tables' }, 'shop', false));
  expect(statementsBefore(all, 'shop', true)).toContain('CREATE EXTENSION IF NOT EXISTS "citext" SCHEMA "ext" CASCADE');
  expect(statementsBefore(all, 'shop', true)).toHaveLength(7);
});

test('a database has its settings while it is filled, but those that would hinder that', () => {
  const everywhere = ['TimeZone=Asia/Tokyo', 'app.tenant=blue', 'default_transaction_read_only=on', 'lock_timeout=1s'];
  const clerks = { role: 'clerk', settings: ['work_mem=8MB'] };
  const all = { ...facts, breadth: 'all', settings: [{ role: '', settings: everywhere }, clerks] } as const;
  expect(statementsBefore(all as unknown as DatabaseFacts, 'shop', false)).toEqual([
    `ALTER DATABASE "shop" SET "TimeZone" TO 'Asia/Tokyo'`,
    `ALTER DATABASE "shop" SET "app"."tenant" TO 'blue'`,
  ]);
  expect(statementsAfter(all as unknown as DatabaseFacts, 'shop', true).slice(0, 3)).toEqual([
    `ALTER DATABASE "shop" SET "default_transaction_read_only" TO 'on'`,
    `ALTER DATABASE "shop" SET "lock_timeout" TO '1s'`,
    `ALTER ROLE "clerk" IN DATABASE "shop" SET "work_mem" TO '8MB'`,
  ]);
});
