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

const closed = 'REVOKE CONNECT ON DATABASE "shop" FROM PUBLIC';

test('a dump of schemas gets those its extensions are in and it does not make, and no public', () => {
  expect(statementsBefore(facts, 'shop', false)).toEqual([
    closed,
    'DROP SCHEMA public',
    'CREATE SCHEMA IF NOT EXISTS "ext"',
  ]);
});

test('a dump of schemas that does not say what it makes gets none', () => {
  expect(statementsBefore({ ...facts, madeSchemas: undefined }, 'shop', false)).toEqual([closed, 'DROP SCHEMA public']);
});

test('single tables get every schema and extension, a whole dump nothing', () => {
  const all = { ...facts, breadth: 'all' } as const;
  expect(statementsBefore(all, 'shop', false)).toEqual([closed]);
  expect(statementsBefore(all, 'shop', true)).toEqual(statementsBefore({ ...facts, breadth: 'tables' }, 'shop', false));
  expect(statementsBefore(all, 'shop', true)).toContain('CREATE EXTENSION IF NOT EXISTS "citext" SCHEMA "ext" CASCADE');
  expect(statementsBefore(all, 'shop', true)).toHaveLength(8);
});

test('a database has its settings while it is filled, but those that would hinder that', () => {
  const everywhere = ['TimeZone=Asia/Tokyo', 'app.tenant=blue', 'default_transaction_read_only=on', 'lock_timeout=1s'];
  const clerks = { role: 'clerk', settings: ['work_mem=8MB'] };
  const all = { ...facts, breadth: 'all', settings: [{ role: '', settings: everywhere }, clerks] } as const;
  expect(statementsBefore(all as unknown as DatabaseFacts, 'shop', false)).toEqual([
    closed,
    `ALTER DATABASE "shop" SET "TimeZone" TO 'Asia/Tokyo'`,
    `ALTER DATABASE "shop" SET "app"."tenant" TO 'blue'`,
  ]);
  expect(statementsAfter(all as unknown as DatabaseFacts, 'shop', true).slice(0, 3)).toEqual([
    `ALTER DATABASE "shop" SET "default_transaction_read_only" TO 'on'`,
    `ALTER DATABASE "shop" SET "lock_timeout" TO '1s'`,
    `ALTER ROLE "clerk" IN DATABASE "shop" SET "work_mem" TO '8MB'`,
  ]);
});

test('who may connect to a database may do so again when it is filled', () => {
  const open = 'GRANT CONNECT ON DATABASE "shop" TO PUBLIC';
  const granted = { ...facts, grants: [{ grantee: 'clerk', privilege: 'CONNECT', grantable: false }] };
  expect(statementsAfter(facts, 'shop', true).at(-1)).toBe(open);
  expect(statementsAfter(granted, 'shop', true)).not.toContain(open);
  expect(statementsAfter(granted, 'shop', false).at(-1)).toBe(open);
});
