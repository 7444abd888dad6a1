import { expect, test } from 'vitest';
import { isGsUrl, parseGsUrl } from './location.ts';

test.each([
  ['gs:backups', 'backups', ''],
  ['gs:backups:/', 'backups', ''],
  ['gs:my.back_ups-1:/shop//a/', 'my.back_ups-1', 'shop/a/'],
])('%s is read as restic reads it', (url, bucket, prefix) => {
  expect(isGsUrl(url)).toBe(true);
  expect(parseGsUrl(url)).toEqual({ bucket, prefix });
});

test.each(['gs:', 'gs:a', 'gs:Upper', 'gs://bucket/path', 'gs:https://host/x', 'gs:/x'])('%s is refused', (url) => {
  expect(() => parseGsUrl(url)).toThrow(expect.objectContaining({ code: 'usage.invalid' }));
});
