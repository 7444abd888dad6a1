import { expect, test } from 'vitest';
import type { Relation } from './choice.ts';
import { sequencesOf } from './fingerprint.ts';

test('a standby can tell no value of an unlogged sequence, and is not asked for one', () => {
  const relation = (kind: string, isUnlogged: boolean) => ({ kind, isUnlogged }) as Relation;
  const [logged, unlogged] = [relation('S', false), relation('S', true)];
  const all = [relation('r', true), logged, unlogged];
  expect(sequencesOf(all, { includesUnlogged: true })).toEqual([logged, unlogged]);
  expect(sequencesOf(all, { includesUnlogged: false })).toEqual([logged]);
});
