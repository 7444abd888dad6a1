import { expect, test } from 'vitest';
import { ConfigError } from '../../config/index.ts';
import { whileBroken } from './while-broken.ts';

test('a broken file is still told of with its problems, and with who answers meanwhile', () => {
  const problem = {
    level: 'error',
    file: 'h.yaml',
    line: 2,
    column: 1,
    path: 'x',
    message: 'is wrong',
    remedy: 'Right it.',
  } as const;
  const told = whileBroken(new ConfigError('h.yaml', [problem]), 'h.yaml') as ConfigError;
  expect(told.problems).toEqual([problem]);
  expect(told.message).toContain('h.yaml:2:1: error: x is wrong');
  expect(told.remedy).toMatch(/holdfast validate\. .*holdfast --server/);
  const other = new Error('another');
  expect(whileBroken(other, 'h.yaml')).toBe(other);
});
