import { expect, test } from 'vitest';
import { parseAccounts, readAccounts } from './accounts.ts';

test('names go by the number, the first of several counts', () => {
  const names = parseAccounts(
    'root:x:0:0::/:/bin/sh\ntoor:x:0:0\n#off:x:5:5\nbad line\n:x:7\nann:x:1000:1000\nneg:x:-1:1\n',
  );
  expect([...names]).toEqual([
    [0, 'root'],
    [1000, 'ann'],
  ]);
});

test('a machine without the files has no names', () => {
  expect(readAccounts('/nonexistent', '/nonexistent').userName(0)).toBeUndefined();
});
