import { expect, test } from 'vitest';
import type { DatabaseFacts } from './source-facts.ts';
import { statementsBefore } from './statements.ts';

const facts = {
  breadth: 'schemas',
  schemas: ['public', 'app', 'ext', 'other'],
  madeSchemas: ['public', 'app'],
  makesPublic: true,
  relations: [],
  extensions: [
    { name: 'plpgsql', version: '1.0', schema: 'pg_catalog' },
    { name: 'adminpack', version: '2.1', schema: 'pg_catalog' },
    { name: 'citext', version: '1.6', schema: 'ext' },
    { name: 'hstore', version: '1.8', schema: 'app' },
  ],
} as unknown as DatabaseFacts;

test('a dump of schemas gets those its extensions are in and it does not make, and no public', () => {
  expect(statementsBefore(facts, false)).toEqual(['DROP SCHEMA public', 'CREATE SCHEMA IF NOT EXISTS "ext"']);
});

test('a dump of schemas that does not say what it makes gets none', () => {
  expect(statementsBefore({ ...facts, madeSchemas: undefined }, false)).toEqual(['DROP SCHEMA public']);
});

test('single tables get every schema and extension, a whole dump nothing', () => {
  const all = { ...facts, breadth: 'all' } as const;
  expect(statementsBefore(all, false)).toEqual([]);
  expect(statementsBefore(all, true)).toEqual(statementsBefore({ ...facts, breadth: 'tables' }, false));
  expect(statementsBefore(all, true)).toContain('CREATE EXTENSION IF NOT EXISTS "citext" SCHEMA "ext" CASCADE');
  expect(statementsBefore(all, true)).toHaveLength(7);
});
