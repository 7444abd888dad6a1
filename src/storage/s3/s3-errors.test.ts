import { describe, expect, it } from 'vitest';
import { ExchangeError } from '../../protocols/http/exchange.ts';
import { errorOfExchange, errorOfReply, regionOf } from './s3-errors.ts';

const asking = { doing: 'write data/x', location: 's3:https://host/shop', bucket: 'shop', region: 'us-east-1' };
const now = Date.UTC(2026, 10, 21, 14, 30);
const reply = (status: number, headers: Record<string, string> = {}) => ({ status, headers, body: new Uint8Array(0) });

describe('what a service says', () => {
  it.each([
    [403, 'InvalidAccessKeyId', 'storage.denied', 'never', /accessKeyId/],
    [403, 'SignatureDoesNotMatch', 'storage.denied', 'never', /secretAccessKey/],
    [403, 'AccessDenied', 'storage.denied', 'never', /s3:PutObject/],
    [403, undefined, 'storage.denied', 'never', /Allow/],
    [404, 'NoSuchBucket', 'storage.not-found', 'never', /holdfast repo init/],
    [503, 'SlowDown', 'storage.unreachable', 'later', /concurrency/],
    [429, undefined, 'storage.unreachable', 'later', /overloaded/],
    [500, 'InternalError', 'storage.unreachable', 'later', /status page/],
    [400, 'RequestTimeout', 'storage.unreachable', 'later', /again/],
    [400, 'BadDigest', 'storage.io', 'now', /way/],
    [409, 'ConditionalRequestConflict', 'storage.unreachable', 'later', /./],
    [403, 'QuotaExceeded', 'storage.full', 'never', /quota/],
    [507, undefined, 'storage.full', 'never', /space/],
    [403, 'InvalidObjectState', 'storage.io', 'never', /archive/],
    [418, undefined, 'storage.io', 'never', /S3/],
  ] as const)('%i %s is %s', (status, serviceCode, code, retry, remedy) => {
    const error = errorOfReply(reply(status), { code: serviceCode, message: 'why' }, asking, now);
    expect(error).toMatchObject({ code, retry, remedy: expect.stringMatching(remedy) });
    expect(error.message).toContain('cannot write data/x in s3:https://host/shop: ');
  });

  it('about the region is passed on by its name', () => {
    const said = { code: 'AuthorizationHeaderMalformed', message: 'wrong', region: 'eu-west-1' };
    expect(regionOf(reply(400), said, 'us-east-1')).toBe('eu-west-1');
    expect(errorOfReply(reply(400), said, asking, now).remedy).toContain('set s3.region to eu-west-1');
    const moved = reply(301, { 'x-amz-bucket-region': 'ap-south-1' });
    expect(errorOfReply(moved, undefined, asking, now).remedy).toContain('ap-south-1');
    expect(regionOf(reply(200, { 'x-amz-bucket-region': 'x-1' }), undefined, 'us-east-1')).toBeUndefined();
    expect(regionOf(reply(301, { 'x-amz-bucket-region': 'evil.example/' }), undefined, 'us-east-1')).toBeUndefined();
  });

  it('about clocks tells by how much they differ', () => {
    const late = reply(403, { date: 'Sat, 21 Nov 2026 14:00:00 GMT' });
    const { remedy } = errorOfReply(late, { code: 'RequestTimeTooSkewed' }, asking, now);
    expect(remedy).toContain('by 30 minutes (it is fast)');
  });

  it('about waiting is heeded', () => {
    expect(errorOfReply(reply(503, { 'retry-after': '7' }), undefined, asking, now).context).toMatchObject({
      retryAfterMs: 7000,
    });
  });
});

describe('no answer', () => {
  it.each([
    ['ECONNRESET', 'later', /network/],
    ['ECONNREFUSED', 'later', /runs/],
    ['ETIMEDOUT', 'later', /timeoutSeconds/],
    ['ENOTFOUND', 'never', /pathStyle/],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'never', /s3\.ca/],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'never', /s3\.ca/],
    ['EPROTO', 'never', /http:\/\//],
  ])('%s is unreachable, tried again: %s', (code, retry, remedy) => {
    const error = errorOfExchange(new ExchangeError(code, 'broken', false), asking);
    expect(error).toMatchObject({ code: 'storage.unreachable', retry, remedy: expect.stringMatching(remedy) });
  });

  it('on a kept connection is tried again at once', () => {
    expect(errorOfExchange(new ExchangeError('ECONNRESET', 'broken', true), asking).retry).toBe('now');
  });
});
