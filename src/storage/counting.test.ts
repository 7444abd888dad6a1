import { expect, test } from 'vitest';
import { utf8 } from '../base/bytes.ts';
import { listed } from './conformance/case.ts';
import { countingStorage } from './counting.ts';
import { memoryStorage } from './memory.ts';

test('every call is recorded once, with its bytes and whether it failed', async () => {
  const storage = countingStorage(memoryStorage());
  await storage.put('a/b', [utf8('four'), utf8('five5')]);
  await storage.get('a/b', { offset: 1, length: 3 });
  await storage.getInto('a/b', 0, new Uint8Array(9));
  await expect(storage.get('a/c')).rejects.toThrow();
  await storage.stat('a/b');
  expect((await listed(storage, 'a')).size).toBe(1);
  for await (const _ of storage.list('a')) break;
  await expect(listed(storage, '..')).rejects.toThrow();
  await storage.delete('a/b');
  expect(storage.calls.map(({ operation, name, bytes, failed }) => [operation, name, bytes, failed])).toEqual([
    ['put', 'a/b', 9, false],
    ['get', 'a/b', 3, false],
    ['getInto', 'a/b', 9, false],
    ['get', 'a/c', 0, true],
    ['stat', 'a/b', 0, false],
    ['list', 'a', 0, false],
    ['list', 'a', 0, false],
    ['list', '..', 0, true],
    ['delete', 'a/b', 0, false],
  ]);
  expect(storage.count('get')).toBe(2);
  expect(storage.bytes('get')).toBe(3);
});
