import { describe, expect, it } from 'vitest';
import { escapePath, escapeText, isAmazon, isS3Url, parseS3Url, regionOfHost } from './location.ts';

describe('the URL of a bucket', () => {
  it.each([
    ['s3:https://minio.lan:9000/shop', 'https:', 'minio.lan:9000', 'shop', ''],
    ['s3:http://127.0.0.1:9000/shop/x', 'http:', '127.0.0.1:9000', 'shop', 'x/'],
    ['s3:s3.amazonaws.com/shop', 'https:', 's3.amazonaws.com', 'shop', ''],
    ['s3:s3.eu-west-1.amazonaws.com/shop/a/b/', 'https:', 's3.eu-west-1.amazonaws.com', 'shop', 'a/b/'],
    ['s3://s3.amazonaws.com/shop//a/./b', 'https:', 's3.amazonaws.com', 'shop', 'a/b/'],
    ['S3:https://host/shop/with%20space', 'https:', 'host', 'shop', 'with space/'],
    ['s3:http://[::1]:9000/shop', 'http:', '[::1]:9000', 'shop', ''],
  ])('%s is read as restic reads it', (url, protocol, host, bucket, prefix) => {
    expect(parseS3Url(url)).toEqual({ protocol, host, bucket, prefix });
    expect(isS3Url(url)).toBe(true);
  });

  it.each([
    's3:',
    's3:https://host',
    's3:https://host/',
    's3:https:///bucket',
    's3:https://host/b?x=1',
    's3:https://host/a%20b/x',
    's3:https://host/bucket/%zz',
    's3:https://host/../',
  ])('%s is refused', (url) => {
    expect(() => parseS3Url(url)).toThrow(expect.objectContaining({ code: 'usage.invalid' }));
  });

  it('that has keys in it is refused, and the keys are not repeated', () => {
    const refused = () => parseS3Url('s3:https://AKIA:hunter2@host/bucket');
    expect(refused).toThrow(expect.objectContaining({ code: 'usage.invalid' }));
    expect(refused).not.toThrow(/hunter2/);
  });
});

it('Amazon’s endpoints and the regions in their names are known', () => {
  expect(['s3.amazonaws.com', 's3.eu-west-1.amazonaws.com', 's3.cn-north-1.amazonaws.com.cn'].every(isAmazon)).toBe(
    true,
  );
  expect(['minio.lan:9000', 'amazonaws.com.evil.example', '127.0.0.1'].some(isAmazon)).toBe(false);
  expect(regionOfHost('s3.eu-west-1.amazonaws.com')).toBe('eu-west-1');
  expect(regionOfHost('s3.dualstack.us-gov-west-1.amazonaws.com')).toBe('us-gov-west-1');
  expect(regionOfHost('s3-us-west-2.amazonaws.com')).toBe('us-west-2');
  expect(regionOfHost('s3.amazonaws.com')).toBeUndefined();
});

it('Paths and values are escaped as signatures want it', () => {
  expect(escapePath('a b/ü/(x)')).toBe('a%20b/%C3%BC/%28x%29');
  expect(escapeText("it's/*")).toBe('it%27s%2F%2A');
});
