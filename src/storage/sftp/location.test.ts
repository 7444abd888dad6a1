import { expect, test } from 'vitest';
import { currentUser } from '../../base/current-user.ts';
import { parseSftpUrl } from './location.ts';
import { sftpSettings } from './settings.ts';

const place = (url: string, port?: number) => {
  const { address, path } = parseSftpUrl(url, port);
  return [address.user, address.host, address.port, path];
};

test('URLs are those restic has', () => {
  expect(place('sftp:me@nas:/srv/backup/')).toEqual(['me', 'nas', 22, '/srv/backup']);
  expect(place('sftp:me@nas:backup//shop')).toEqual(['me', 'nas', 22, 'backup/shop']);
  expect(place('sftp:nas:/srv', 2222)).toEqual([currentUser().username, 'nas', 2222, '/srv']);
  expect(place('sftp://me@nas:2222//srv/a%20b', 22)).toEqual(['me', 'nas', 2222, '/srv/a b']);
  expect(place('sftp://me@nas/backup')).toEqual(['me', 'nas', 22, 'backup']);
  expect(place('sftp:me@[::1]:/srv')).toEqual(['me', '::1', 22, '/srv']);
  expect(place('sftp://me@[fe80::1]:22//srv')).toEqual(['me', 'fe80::1', 22, '/srv']);
});

test('what is shown can be written again, and has no secret', () => {
  for (const url of ['sftp:me@nas:/srv', 'sftp:me@nas:srv', 'sftp://me@nas:2222//srv', 'sftp://me@nas:2222/srv']) {
    expect(parseSftpUrl(parseSftpUrl(url).shown)).toEqual(parseSftpUrl(url));
  }
});

test('what is no place is refused, without showing a password', () => {
  const wrong = [
    'sftp:',
    'sftp:nas',
    'sftp:me@nas:',
    'sftp://me@nas',
    'sftp://nas:0//x',
    'sftp:nas:~/x',
    'sftp://nas//%zz',
  ];
  for (const url of wrong) expect(() => parseSftpUrl(url), url).toThrow(/is not the URL of a directory/);
  for (const url of ['sftp:me:geheim@nas:/srv', 'sftp://me:geheim@nas//srv']) {
    expect(() => parseSftpUrl(url)).toThrow(/password/);
    expect(() => parseSftpUrl(url)).not.toThrow(/geheim/);
  }
});

test('settings are strict, with the names a host has', () => {
  expect(sftpSettings.parse({})).toEqual({ connections: 4 });
  expect(sftpSettings.safeParse({ jump: 'no address' }).success).toBe(false);
  expect(sftpSettings.safeParse({ prot: 22 }).success).toBe(false);
});
