/** The promises of a storage, all of them, against Azurite. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { azureStorage } from '../../src/storage/azure/index.ts';
import { runStorageCase, storageCases } from '../../src/storage/check.ts';
import { type Azurite, azureAccount, azureKey, startAzurite } from '../servers/azurite.ts';
import { clearSecret, openAt } from '../support/storages.ts';

let server: Azurite;
beforeAll(async () => {
  server = await startAzurite();
});
afterAll(() => server?.[Symbol.asyncDispose]());

test.each(storageCases)('a container: $why', async (each) => {
  const settings = { account: azureAccount, accountKey: clearSecret(azureKey), endpoint: server.endpoint };
  const result = await runStorageCase(each, {
    open: () => openAt(azureStorage, 'azure:backups:/a/prefix', { settings, create: true }),
    prefix: 'holdfast/check',
  });
  if (result.error !== undefined) throw result.error;
  expect(result).toMatchObject({ passed: true });
});
