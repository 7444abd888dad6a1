import { expect, it } from 'vitest';
import { parseListenAddress, reachableAt } from './listen-address.ts';

it('an address to listen on is HOST:PORT, a port of this machine, or a port of every address', () => {
  expect(parseListenAddress('8321')).toEqual({ host: '127.0.0.1', port: 8321 });
  expect(parseListenAddress(':8321')).toEqual({ host: '::', port: 8321 });
  expect(parseListenAddress('[::1]:8321')).toEqual({ host: '::1', port: 8321 });
  expect(() => parseListenAddress('nas')).toThrow(/is no address to listen on/);
});

it('what is shown can be connected to', () => {
  expect(reachableAt({ address: '0.0.0.0', family: 'IPv4', port: 8321 })).toBe('localhost:8321');
  expect(reachableAt({ address: '::', family: 'IPv6', port: 8321 })).toBe('localhost:8321');
  expect(reachableAt({ address: '::1', family: 'IPv6', port: 8321 })).toBe('[::1]:8321');
  expect(reachableAt({ address: '192.0.2.5', family: 'IPv4', port: 8321 })).toBe('192.0.2.5:8321');
});
