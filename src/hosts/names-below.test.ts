import { expect, test } from 'vitest';
import { namesBelow } from './names-below.ts';

test('names the way from a directory down', () => {
  expect(namesBelow('/srv/back', '/srv/back')).toEqual([]);
  expect(namesBelow('/srv/back', '/srv/back/a/ b\n')).toEqual(['a', ' b\n']);
  expect(namesBelow('/', '/etc/passwd')).toEqual(['etc', 'passwd']);
  expect(namesBelow('/', '/')).toEqual([]);
});

test.each([
  ['/srv/back', '/srv/backup/a'],
  ['/srv/back', '/srv'],
  ['/srv/back', '/etc/passwd'],
  ['/srv/back', '/srv/back/../../etc/passwd'],
  ['/srv/back', '/srv/back/./a'],
  ['/srv/back', '/srv/back//a'],
  ['/srv/back', '/srv/back/a\0b'],
  ['/', '/a/..'],
  ['/', 'etc'],
])('below %s, %j is refused', (root, path) => {
  expect(() => namesBelow(root, path)).toThrow(expect.objectContaining({ code: 'restore.target-invalid' }));
});
