import { expect, test } from 'vitest';
import type { Config } from '../../config/index.ts';
import { siblingsOf } from './repo-repair.ts';

test('what a repository lost is looked for in those that the same sources are stored in', () => {
  const source = (...repositories: string[]) => ({ placements: repositories.map((repository) => ({ repository })) });
  const sources = new Map([
    ['a', source('nas', 'cloud')],
    ['b', source('disk', 'nas', 'cloud')],
    ['c', source('elsewhere')],
  ]);
  const config = { sources } as unknown as Config;
  expect(siblingsOf('nas', { config })).toEqual(['cloud', 'disk']);
  expect(siblingsOf('elsewhere', { config })).toEqual([]);
});
