import { afterAll, beforeAll, expect, test } from 'vitest';
import { runStorageCase, storageCases } from '../../src/storage/check.ts';
import { type S3Server, startMoto } from '../servers/s3-moto.ts';
import { openS3 } from './s3-access.ts';

let server: S3Server;
beforeAll(async () => {
  server = await startMoto();
});
afterAll(() => server?.[Symbol.asyncDispose]());

test.each(storageCases)('a bucket: $why', async (each) => {
  const result = await runStorageCase(each, {
    open: () => openS3(`s3:${server.endpoint}/holdfast/a/prefix`, { env: server.env }),
    prefix: 'holdfast/check',
  });
  expect(result).toMatchObject({ passed: true });
});
