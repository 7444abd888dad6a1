/** The promises of a storage, all of them, against a stand-in for Google Cloud Storage. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runStorageCase, storageCases } from '../../src/storage/check.ts';
import { gsStorage } from '../../src/storage/gs/index.ts';
import { type GcsStandIn, startGcs } from '../servers/gcs-stand-in.ts';
import { clearSecret, openAt } from '../support/storages.ts';

let server: GcsStandIn;
beforeAll(async () => {
  server = await startGcs();
});
afterAll(() => server?.[Symbol.asyncDispose]());

test.each(storageCases)('a bucket: $why', async (each) => {
  const settings = { credentials: clearSecret(server.credentials), endpoint: server.endpoint };
  const result = await runStorageCase(each, {
    open: () => openAt(gsStorage, 'gs:backups:/a/prefix', { settings, create: true }),
    prefix: 'holdfast/check',
  });
  if (result.error !== undefined) throw result.error;
  expect(result).toMatchObject({ passed: true });
});
