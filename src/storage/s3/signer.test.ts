import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { hashBody, sign } from './signer.ts';

it('A request is signed as in the example of Amazon’s documentation', async () => {
  // «GET Object» of the Signature Version 4 examples for S3: the same key, date and headers give the same signature.
  const emptyHash = createHash('sha256').digest('hex');
  const signed = await sign(
    {
      method: 'GET',
      protocol: 'https:',
      host: 'examplebucket.s3.amazonaws.com',
      path: '/test.txt',
      query: {},
      headers: { range: 'bytes=0-9' },
    },
    {
      credentials: {
        accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
        secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
      },
      region: 'us-east-1',
      service: 's3',
      nowMs: Date.UTC(2013, 4, 24),
      bodyHash: emptyHash,
    },
  );
  expect(signed['x-amz-date']).toBe('20130524T000000Z');
  expect(signed.authorization).toContain('Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41');
});

it('The hashes of a body are those of its parts together, in shared memory, too', async () => {
  const shared = new Uint8Array(new SharedArrayBuffer(9_000_001)).fill(7);
  const parts = [shared.subarray(0, 5_000_000), new Uint8Array(0), shared.subarray(5_000_000)];
  const expected = { sha256: createHash('sha256').update(shared).digest('hex') };
  expect(await hashBody(parts, { md5: false })).toEqual(expected);
  const md5 = createHash('md5').update(shared).digest('base64');
  expect(await hashBody(parts, { md5: true })).toEqual({ ...expected, md5 });
  await expect(hashBody(parts, { md5: false, signal: AbortSignal.abort() })).rejects.toMatchObject({
    code: 'cancelled',
  });
});
