import { expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { Secret } from '../../base/secrets.ts';
import { RemoteServer } from './server.ts';

const serverAt = (url: string): RemoteServer =>
  new RemoteServer({
    url,
    token: async () => new Secret('hf_token'),
    clock: systemClock,
    signal: new AbortController().signal,
  });

test.each([
  'https://backup.example',
  'https://127.0.0.1.evil.example',
  'http://localhost:8321',
  'http://LOCALHOST/',
  'http://127.0.0.1:8321/',
  'http://127.8.9.10',
  'http://127.1',
  'http://[::1]:8321',
])('a token stays on this machine, or is encrypted: %s', (url) => {
  expect(serverAt(url).isInTheClear).toBe(false);
});

test.each([
  'http://backup.example',
  'http://127.0.0.1.evil.example',
  'http://127.evil.example:8321',
  'http://localhost.evil.example',
  'http://localhosts',
  'http://10.0.0.1',
  'http://[::2]',
  'http://[fe80::1]:8321',
])('a token would travel unencrypted: %s', (url) => {
  expect(serverAt(url).isInTheClear).toBe(true);
});

test.each([
  'backup.example',
  'ftp://backup.example',
  'https://backup.example/path',
  'https://backup.example?x',
  'https://',
  'http://:80',
  'http://a b',
  'http://host:99999',
])('is no address of a server: %s', (url) => {
  expect(() => serverAt(url)).toThrow('is no address of a server');
});

test('an address with a password in it is refused, and not repeated', () => {
  for (const url of ['https://anna:geheim@backup.example', 'http://geheim@127.0.0.1']) {
    expect(() => serverAt(url)).toThrow(/^(?!.*geheim).*no user and no password/);
  }
});
