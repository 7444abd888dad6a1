import { expect, test } from 'vitest';
import type { RdbHeader } from '../../protocols/redis/rdb-reader.ts';
import { splitCommand } from './command-line.ts';
import { placeOf } from './connect.ts';
import { settings } from './settings.ts';
import { canLoad, parseServerVersion } from './versions.ts';

test('a URL names user, host, port and TLS; a socket stands for host and port', () => {
  expect(placeOf(settings.parse({}))).toMatchObject({ address: { host: '127.0.0.1', port: 6379 }, user: undefined });
  expect(placeOf(settings.parse({ url: 'rediss://backup%40x@[::1]:7000' }))).toEqual({
    ...{ address: { host: '::1', port: 7000 }, title: 'rediss://[::1]:7000', user: 'backup@x', tlsName: '::1' },
  });
  expect(placeOf(settings.parse({ socket: '/run/redis.sock', url: 'redis://me@any' }))).toEqual({
    ...{ address: { socketPath: '/run/redis.sock' }, title: '/run/redis.sock', user: 'me' },
  });
});

test('passwords and database numbers do not belong into a URL', () => {
  for (const url of ['redis://user:secret@host', 'redis://:secret@host', 'redis://host/3', 'http://host', 'redis://']) {
    expect(settings.safeParse({ url }).success, url).toBe(false);
  }
});

test('commands are split as redis-cli does', () => {
  const words = (line: string): string[] => splitCommand(line).map((word) => Buffer.from(word).toString('latin1'));
  expect(words('GET key')).toEqual(['GET', 'key']);
  expect(words(String.raw` SET "a \"b\" \x41\n" 'it''s'`.replace("'it''s'", String.raw`'it\'s "so"'`))).toEqual([
    ...['SET', 'a "b" A\n', `it's "so"`],
  ]);
  for (const line of ['', '  ', 'GET "open', `GET 'open`, 'GET "a"b'])
    expect(() => splitCommand(line)).toThrow('no command');
});

test('servers load what they know, and nothing of the other product that is newer than their common past', () => {
  const redis = (version: string) => parseServerVersion(`Redis server v=${version} sha=0`)!;
  const valkey = (version: string) => parseServerVersion(`Valkey server v=${version} sha=0`)!;
  const file = (product: 'redis' | 'valkey', version: number): RdbHeader => ({ product, version });
  expect(canLoad(redis('7.0.15'), file('redis', 10), undefined)).toBe(true);
  expect(canLoad(redis('7.0.15'), file('redis', 11), undefined)).toBe(false);
  expect(canLoad(redis('6.2.1'), file('redis', 9), undefined)).toBe(true);
  expect(canLoad(redis('8.0.6'), file('redis', 12), undefined)).toBe(true);
  expect(canLoad(redis('8.0.6'), file('redis', 11), valkey('8.1.1'))).toBe(true);
  expect(canLoad(redis('8.0.6'), file('valkey', 80), valkey('9.0.0'))).toBe(false);
  expect(canLoad(valkey('9.1.2'), file('redis', 12), redis('8.0.6'))).toBe(false);
  expect(canLoad(valkey('9.1.2'), file('redis', 11), redis('7.2.4'))).toBe(true);
  expect(canLoad(valkey('8.1.1'), file('valkey', 80), undefined)).toBe(false);
  // A version whose format is not known here loads what an older one of its kind saved.
  expect(canLoad(redis('9.4.0'), file('redis', 20), redis('9.2.0'))).toBe(true);
});
