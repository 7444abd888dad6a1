import { expect, test } from 'vitest';
import { isAzureUrl, parseAzureUrl } from './location.ts';

test.each([
  ['azure:backups', 'backups', ''],
  ['azure:backups:/', 'backups', ''],
  ['azure:x-y:/shop//a/./b/', 'x-y', 'shop/a/b/'],
  ['azure:$root:shop', '$root', 'shop/'],
])('%s is read as restic reads it', (url, container, prefix) => {
  expect(isAzureUrl(url)).toBe(true);
  expect(parseAzureUrl(url)).toEqual({ container, prefix });
});

test.each(['azure:', 'azure:ab', 'azure:Upper', 'azure:a--b', 'azure:https://host/x', `azure:${'a'.repeat(64)}`])(
  '%s is refused',
  (url) => {
    expect(() => parseAzureUrl(url)).toThrow(expect.objectContaining({ code: 'usage.invalid' }));
  },
);
