import { describe, expect, test } from 'vitest';
import { localStorage } from './local/index.ts';
import { memoryStorage } from './memory.ts';
import { openStorage, redactUrl } from './open.ts';
import { storageKinds } from './registry.ts';

test('the kind that recognises the URL opens it, with the options', async () => {
  const seen: unknown[] = [];
  const kind = {
    ...localStorage,
    recognises: (url: string) => url.startsWith('mem:'),
    open: async (...call: unknown[]) => {
      seen.push(call);
      return memoryStorage();
    },
  };
  await openStorage([localStorage, kind], 'mem:x', { create: true });
  expect(seen).toMatchObject([['mem:x', { create: true }]]);
});

test('an unknown URL is a usage error that names the forms and hides the secret', async () => {
  const opening = openStorage(storageKinds, 'gopher://me:hunter2@host/x', { create: false });
  await expect(opening).rejects.toMatchObject({
    code: 'usage.invalid',
    message: 'gopher://me:***@host/x is not the URL of a known storage',
    remedy: expect.stringContaining('/path'),
  });
});

describe('redactUrl hides', () => {
  test.each([
    ['https://user:pass@host/path', 'https://user:***@host/path'],
    ['rest:https://user:p@ss@host:8000/', 'rest:https://user:***@host:8000/'],
    ['https://user:pa/ss@host/path', 'https://user:***@host/path'],
    ['https://ghp_token@host/path', 'https://***@host/path'],
    ['s3:https://KEY:SECRET@minio:9000/bucket', 's3:https://KEY:***@minio:9000/bucket'],
    ['sftp:user:pw@host:/srv', 'sftp:user:***@host:/srv'],
    ['https://h/c?sv=1&sig=abc%3D&se=2', 'https://h/c?sv=1&sig=***&se=2'],
    ['s3://b/p?access_key=A&secretKey=B&region=eu', 's3://b/p?access_key=***&secretKey=***&region=eu'],
    [
      'https://h/?X-Amz-Signature=1&X-Amz-Credential=2&password=3&api_token=4#a',
      'https://h/?X-Amz-Signature=***&X-Amz-Credential=***&password=***&api_token=***#a',
    ],
  ])('the secret in %s', (url, shown) => expect(redactUrl(url)).toBe(shown));
});

describe('redactUrl leaves alone', () => {
  test.each([
    '/srv/a:b@c/repo?token=x',
    './repo',
    'file:///srv/backup@home',
    'sftp://backup@host/srv',
    'sftp:backup@host:/srv/x',
    'https://host:9000/bucket/mail@example.org',
    'https://[fe80::1]:9000/a@b',
    's3:https://host:9000/bucket',
  ])('%s', (url) => expect(redactUrl(url)).toBe(url));
});
