/** Azure Blob Storage: restic beside us, faults of the network, refusals, signatures. All against Azurite. */
import { createHmac } from 'node:crypto';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { azureStorage } from '../../src/storage/azure/index.ts';
import type { AzureSettings } from '../../src/storage/azure/settings.ts';
import { body, expectBytes, listed } from '../../src/storage/conformance/case.ts';
import { Trial } from '../e2e/trial.ts';
import { type Azurite, azureAccount, azureKey, startAzurite, startNameProxy } from '../servers/azurite.ts';
import { startFaultyProxy } from '../servers/faulty-http-proxy.ts';
import { clearSecret, openForTest } from '../support/storages.ts';
import { proveBothWays } from './both-ways.ts';
import { callThroughFaults, giveUpInTime, hearRefusals, passingFaults, patient } from './through-faults.ts';

let server: Azurite;
beforeAll(async () => {
  server = await startAzurite();
});
afterAll(() => server?.[Symbol.asyncDispose]());

const keyed = { account: azureAccount, accountKey: clearSecret(azureKey) };

function open(url: string, settings: Partial<AzureSettings> = {}, create = true) {
  const all = { ...keyed, endpoint: server.endpoint, ...settings };
  return openForTest(azureStorage, url, { settings: all, create, clock: patient });
}

test('a repository is made and proven, restic opens it, and we what restic wrote', async () => {
  await using secure = await startAzurite({ secure: true });
  await using names = await startNameProxy(secure.port);
  const trial = new Trial();
  onTestFinished(() => trial.dispose());
  trial.write('key', `${azureKey}\n`);
  const settings = `{ account: ${azureAccount}, accountKey: { file: ${trial.path('key')} }, endpoint: "${secure.endpoint}", ca: ${secure.ca} }`;
  await proveBothWays({
    trial,
    // Debian's: other builds leave Azure out. It insists on the service's own name.
    restic: 'restic',
    entry: `url: "azure:backups:/shop/x", azure: ${settings}`,
    place: ['-r', 'azure:backups:/shop/x', '--cacert', secure.ca],
    env: {
      AZURE_ACCOUNT_NAME: azureAccount,
      AZURE_ACCOUNT_KEY: azureKey,
      HTTPS_PROXY: names.url,
    },
    secret: azureKey,
  });
});

describe('when the network or the service fails for a moment', () => {
  test.each(passingFaults)('%s: every call succeeds by trying again, and is right', async (fault) => {
    await using proxy = await startFaultyProxy(server.endpoint);
    const storage = await open(`azure:faults:/${fault}`, { endpoint: `${proxy.endpoint}/${azureAccount}` });
    await callThroughFaults(storage, proxy, fault);
  });

  test('a full one and one that refuses are said to be so, at once', async () => {
    await using proxy = await startFaultyProxy(server.endpoint);
    await hearRefusals(await open('azure:faults:/full', { endpoint: `${proxy.endpoint}/${azureAccount}` }), proxy);
  });

  test('a service that stays away is given up', async () => {
    await using proxy = await startFaultyProxy(server.endpoint);
    await giveUpInTime(await open('azure:faults:/x', { endpoint: `${proxy.endpoint}/${azureAccount}` }), proxy);
  });
});

test('a container that is not there is an error, not an empty repository', async () => {
  const storage = await open('azure:no-such-container:/x', {}, false);
  const gone = { code: 'storage.not-found', message: expect.stringContaining('ContainerNotFound') };
  await expect(storage.get('config')).rejects.toMatchObject(gone);
  await expect(storage.stat('config')).rejects.toMatchObject({ code: 'storage.not-found' });
  await expect(listed(storage, 'data')).rejects.toMatchObject(gone);
  await expect(storage.put('data/x', [body(1, 1)])).rejects.toMatchObject(gone);
});

test('a wrong key is denied, and shown nowhere; without one nothing is asked', async () => {
  const wrong = Buffer.from('another key').toString('base64');
  const storage = await open('azure:backups', { accountKey: clearSecret(wrong) }, false);
  const refused = await storage.get('config').catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'storage.denied', remedy: expect.stringContaining('azure.accountKey') });
  expect(inspect(refused, { depth: 20, showHidden: true })).not.toContain(wrong);
  await expect(openForTest(azureStorage, 'azure:x-y', { settings: { account: 'me1' } })).rejects.toMatchObject({
    code: 'secret.unavailable',
  });
  await expect(openForTest(azureStorage, 'azure:x-y', { settings: {} })).rejects.toMatchObject({
    code: 'config.invalid',
  });
});

test('a shared access signature does as well, and one that allows too little is denied', async () => {
  const settings = { account: azureAccount, endpoint: server.endpoint };
  const by = (permissions: string) =>
    openForTest(azureStorage, 'azure:by-signature:/x', {
      settings: { ...settings, sas: clearSecret(`?${signatureFor(permissions)}`) },
      create: true,
      clock: patient,
    });
  const storage = await by('rwdlac');
  const bytes = body(1000, 1);
  await storage.put('data/x', [bytes], { mustNotExist: true });
  expectBytes(await storage.get('data/x'), bytes, 'the object');
  expect([...(await listed(storage, 'data')).keys()]).toEqual(['data/x']);
  const reader = await by('rl');
  const refused = await reader.put('data/y', [bytes]).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'storage.denied' });
  expect(inspect(refused, { depth: 20, showHidden: true })).not.toContain('sig=');
});

/** Of the account («Create an account SAS», 2021-12-02). */
function signatureFor(permissions: string): string {
  const fields = {
    sp: permissions,
    ss: 'b',
    srt: 'co',
    st: '',
    se: '2099-01-01T00:00:00Z',
    sip: '',
    spr: '',
    sv: '2021-12-02',
  };
  const text = [azureAccount, ...Object.values(fields), '', ''].join('\n');
  const sig = createHmac('sha256', Buffer.from(azureKey, 'base64')).update(text).digest('base64');
  const given = Object.entries({ ...fields, sig }).filter(([, value]) => value !== '');
  return new URLSearchParams(given).toString();
}

test('account and key may come from the variables restic has', async () => {
  const env = { AZURE_ACCOUNT_NAME: azureAccount, AZURE_ACCOUNT_KEY: azureKey };
  const settings = { endpoint: server.endpoint };
  const storage = await openForTest(azureStorage, 'azure:by-env', { settings, create: true, env });
  const bytes = body(1000, 1);
  await storage.put('config', [bytes]);
  expectBytes(await storage.get('config'), bytes, 'the object');
});
