import { expect, test } from 'vitest';
import { z } from 'zod';
import { currentUser } from '../../base/current-user.ts';
import { isSecretSetting } from '../../base/secret-reference.ts';
import { isSshAddress, parseSshAddress, showAddress, sshSettings } from './settings.ts';

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

test('settings are strict, described, and know their secrets', () => {
  expect(sshSettings.safeParse({ ssh: 'root@db' }).success).toBe(true);
  expect(sshSettings.safeParse({ ssh: 'root@db', port: 22 }).success).toBe(false);
  expect(sshSettings.safeParse({ ssh: 'no address' }).success).toBe(false);
  expect(sshSettings.safeParse({ ssh: 'db', key: 'text' }).success).toBe(false);
  expect(sshSettings.safeParse({ ssh: 'db', hostKey: 'md5:00' }).success).toBe(false);
  expect(sshSettings.safeParse({ ssh: 'db', hostKey: `SHA256:${'A'.repeat(43)}` }).success).toBe(true);
  expect(sshSettings.safeParse({ ssh: 'db', knownHosts: 'known' }).success).toBe(false);
  const { key, passphrase, password, agent } = sshSettings.shape;
  expect([key, passphrase, password, agent].map(isSecretSetting)).toEqual([true, true, true, false]);
  for (const [name, field] of Object.entries(sshSettings.shape)) {
    const inner = field instanceof z.ZodOptional ? (field.unwrap() as z.ZodType) : field;
    expect(field.description ?? inner.description, name).toBeDefined();
  }
});

test('an address is shown as people write it', () => {
  expect(showAddress({ host: 'db', port: 22 })).toBe('db');
  expect(showAddress({ host: 'db', port: 2222 })).toBe('db:2222');
  expect(showAddress({ host: '::1', port: 22 })).toBe('[::1]:22');
});
