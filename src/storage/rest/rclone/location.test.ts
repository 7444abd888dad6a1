import { expect, test } from 'vitest';
import { isRcloneUrl, parseRcloneUrl } from './location.ts';
import { rcloneSettings } from './settings.ts';

test('the remote is what rclone is told, as it stands', () => {
  for (const remote of ['nas:backup/shop', '/srv/backup', ':sftp,host=nas,user=me:backup', 'nas:']) {
    expect(isRcloneUrl(`rclone:${remote}`)).toBe(true);
    expect(parseRcloneUrl(`rclone:${remote}`)).toBe(remote);
  }
});

test('a secret in it is refused, and not repeated', () => {
  for (const url of [
    'rclone::sftp,host=nas,pass=geheim:x',
    'rclone:nas,secret_access_key=geheim:x',
    "rclone::webdav,url='https://me:geheim@nas/':x",
    'rclone:',
  ]) {
    expect(() => parseRcloneUrl(url), url).toThrow(expect.objectContaining({ code: 'usage.invalid' }));
    expect(() => parseRcloneUrl(url), url).not.toThrow(/geheim/);
  }
});

test('options are options, and none is a secret', () => {
  expect(rcloneSettings.parse({ options: ['--bwlimit=1M', '--fast-list'] }).options).toHaveLength(2);
  for (const option of ['nas:', '-v', '--webdav-pass=geheim', '--s3-secret-access-key=geheim']) {
    expect(rcloneSettings.safeParse({ options: [option] }).success, option).toBe(false);
  }
});
