import { expect, test } from 'vitest';
import { currentUser } from '../../base/current-user.ts';
import { isSshAddress, parseSshAddress, showAddress } from './address.ts';

test('an address may leave out user and port, and have IPv6 in brackets', () => {
  expect(parseSshAddress('root@10.0.0.24:2222')).toEqual({ user: 'root', host: '10.0.0.24', port: 2222 });
  expect(parseSshAddress('db.example')).toEqual({ user: currentUser().username, host: 'db.example', port: 22 });
  expect(parseSshAddress('root@[fe80::1%eth0]:22')).toEqual({ user: 'root', host: 'fe80::1%eth0', port: 22 });
  for (const text of ['', 'a b', 'host:0', 'host:65536', 'host:x', '::1', '@host', 'a@b@c', '[::1', 'ssh://host']) {
    expect(parseSshAddress(text), text).toBeUndefined();
  }
});

test('a jump is a name, unless it looks like an address', () => {
  expect(isSshAddress('bastion')).toBe(false);
  for (const text of ['me@bastion', 'bastion.example', 'bastion:22']) expect(isSshAddress(text)).toBe(true);
});

test('an address is shown as people write it', () => {
  expect(showAddress({ host: 'db', port: 22 })).toBe('db');
  expect(showAddress({ host: 'db', port: 2222 })).toBe('db:2222');
  expect(showAddress({ host: '::1', port: 22 })).toBe('[::1]:22');
});
