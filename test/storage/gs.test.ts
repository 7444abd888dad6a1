/** Google Cloud Storage: restic beside us, faults of the network, refusals, tokens. All against a stand-in. */
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { body, expectBytes, listed } from '../../src/storage/conformance/case.ts';
import { gsStorage } from '../../src/storage/gs/index.ts';
import type { GsSettings } from '../../src/storage/gs/settings.ts';
import { Trial } from '../e2e/trial.ts';
import { startFaultyProxy } from '../servers/faulty-http-proxy.ts';
import { type GcsStandIn, startGcs } from '../servers/gcs-stand-in.ts';
import { clearSecret, openForTest } from '../support/storages.ts';
import { proveBothWays } from './both-ways.ts';
import { callThroughFaults, giveUpInTime, hearRefusals, passingFaults, patient } from './through-faults.ts';

let server: GcsStandIn;
beforeAll(async () => {
  server = await startGcs();
});
afterAll(() => server?.[Symbol.asyncDispose]());

function open(url: string, settings: Partial<GsSettings> = {}, create = true) {
  const all = { credentials: clearSecret(server.credentials), endpoint: server.endpoint, ...settings };
  return openForTest(gsStorage, url, { settings: all, create, clock: patient });
}

test('a repository is made and proven, restic opens it, and we what restic wrote', async () => {
  await using emulator = await startGcs({ open: true });
  const trial = new Trial();
  onTestFinished(() => trial.dispose());
  trial.write('account.json', emulator.credentials);
  const settings = `{ credentials: { file: ${trial.path('account.json')} }, endpoint: "${emulator.endpoint}" }`;
  await proveBothWays({
    trial,
    entry: `url: "gs:backups:/shop/x", gs: ${settings}`,
    place: ['-r', 'gs:backups:/shop/x'],
    env: { STORAGE_EMULATOR_HOST: emulator.endpoint, GOOGLE_PROJECT_ID: 'project', GOOGLE_ACCESS_TOKEN: 'any' },
    secret: 'PRIVATE KEY',
  });
});

describe('when the network or the service fails for a moment', () => {
  test.each(passingFaults)('%s: every call succeeds by trying again, and is right', async (fault) => {
    await using proxy = await startFaultyProxy(server.endpoint);
    const storage = await open(`gs:faults:/${fault}`, { endpoint: proxy.endpoint });
    await callThroughFaults(storage, proxy, fault);
  });

  test('a full one and one that refuses are said to be so, at once', async () => {
    await using proxy = await startFaultyProxy(server.endpoint);
    await hearRefusals(await open('gs:faults:/full', { endpoint: proxy.endpoint }), proxy);
  });

  test('a service that stays away is given up', async () => {
    await using proxy = await startFaultyProxy(server.endpoint);
    await giveUpInTime(await open('gs:faults:/x', { endpoint: proxy.endpoint }), proxy);
  });
});

test('a bucket that is not there is an error, not an empty repository', async () => {
  const storage = await open('gs:no-such-bucket:/x', {}, false);
  const gone = { code: 'storage.not-found', message: expect.stringContaining('bucket does not exist') };
  await expect(storage.get('config')).rejects.toMatchObject(gone);
  await expect(storage.stat('config')).rejects.toMatchObject(gone);
  await expect(listed(storage, 'data')).rejects.toMatchObject(gone);
  await expect(storage.put('data/x', [body(1, 1)])).rejects.toMatchObject(gone);
});

test('one token serves many calls, and another one is fetched when it is over', async () => {
  const storage = await open('gs:tokens', {}, true);
  const before = server.tokens.length;
  const bytes = body(1000, 1);
  await storage.put('config', [bytes]);
  expectBytes(await storage.get('config'), bytes, 'the object');
  expect(server.tokens.length).toBe(before);
  server.expireTokens();
  expectBytes(await storage.get('config'), bytes, 'the object');
  expect(server.tokens.length).toBe(before + 1);
});

test('a user’s credentials and a machine’s account do as well', async () => {
  const bytes = body(1000, 1);
  await (await open('gs:others')).put('config', [bytes]);
  const user = { type: 'authorized_user', client_id: 'id', client_secret: 'secret', refresh_token: 'a refresh token' };
  const json = JSON.stringify({ ...user, token_uri: `${server.endpoint}/token` });
  expectBytes(await (await open('gs:others', { credentials: clearSecret(json) }, false)).get('config'), bytes, 'it');
  const machine = await openForTest(gsStorage, 'gs:others', {
    settings: { endpoint: server.endpoint },
    env: { GCE_METADATA_HOST: new URL(server.endpoint).host },
  });
  expectBytes(await machine.get('config'), bytes, 'it');
});

test('credentials that are none, of another key, or missing are told apart, and shown nowhere', async () => {
  await using other = await startGcs();
  const theirs = JSON.parse(other.credentials) as Record<string, string>;
  const stolen = JSON.stringify({ ...theirs, token_uri: `${server.endpoint}/token` });
  const storage = await open('gs:backups', { credentials: clearSecret(stolen) }, false);
  const refused = await storage.get('config').catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'storage.denied', remedy: expect.stringContaining('gs.credentials') });
  expect(inspect(refused, { depth: 20, showHidden: true })).not.toContain('PRIVATE KEY');
  for (const credentials of ['{"private_key":"geheim"}', 'geheim']) {
    const none = await open('gs:backups', { credentials: clearSecret(credentials) }, false).catch(
      (error: unknown) => error,
    );
    expect(none).toMatchObject({ code: 'secret.unavailable' });
    expect(inspect(none, { depth: 20 })).not.toContain('geheim');
  }
  const machine = await openForTest(gsStorage, 'gs:backups', {
    settings: { endpoint: server.endpoint },
    env: { GCE_METADATA_HOST: '127.0.0.1:1' },
    clock: patient,
  });
  await expect(machine.get('config')).rejects.toMatchObject({ code: 'secret.unavailable' });
});
