/** WebDAV: restic beside us (through rclone), faults of the network, refusals, proofs of who we are. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { body, expectBytes, listed } from '../../src/storage/conformance/case.ts';
import { webdavStorage } from '../../src/storage/webdav/index.ts';
import type { WebdavSettings } from '../../src/storage/webdav/settings.ts';
import { Trial } from '../e2e/trial.ts';
import { startFaultyProxy } from '../servers/faulty-http-proxy.ts';
import { startApache, startNginx, type WebdavServer } from '../servers/webdav.ts';
import { clearSecret, openForTest } from '../support/storages.ts';
import { proveBothWays } from './both-ways.ts';
import { callThroughFaults, giveUpInTime, hearRefusals, passingFaults, patient } from './through-faults.ts';

const signIn = { user: 'me', password: 'right-for-the-server' };

let server: WebdavServer;
beforeAll(async () => {
  server = await startNginx({ ...signIn, auth: 'basic' });
});
afterAll(() => server?.[Symbol.asyncDispose]());

function open(url: string, settings: Partial<WebdavSettings> = {}, create = true) {
  const all = { user: signIn.user, password: clearSecret(signIn.password), ...settings };
  return openForTest(webdavStorage, url, { settings: all, create, clock: patient });
}

test('a repository is made and proven by digest; restic opens it through rclone, and we what it wrote', async () => {
  await using apache = await startApache({ ...signIn, auth: 'digest' });
  const trial = new Trial();
  onTestFinished(() => trial.dispose());
  trial.write('server-password', signIn.password);
  trial.write('rclone.conf', `[dav]\ntype = webdav\nurl = http://127.0.0.1:${apache.port}/open/\nvendor = other\n`);
  const settings = `{ user: me, password: { file: ${trial.path('server-password')} }, auth: digest }`;
  await proveBothWays({
    trial,
    entry: `url: "webdav:http://127.0.0.1:${apache.port}/dav/team/shop/", webdav: ${settings}`,
    place: ['-r', 'rclone:dav:team/shop'],
    env: { RCLONE_CONFIG: trial.path('rclone.conf') },
    secret: signIn.password,
  });
  expect(readdirSync(join(apache.directory, 'team/shop/~holdfast'))).toEqual([]);
  expect(readdirSync(join(apache.directory, 'team/shop/locks'))).toEqual([]);
});

describe('when the network or the server fails for a moment', () => {
  test.each(passingFaults)('%s: every call succeeds by trying again, and is right', async (fault) => {
    await using proxy = await startFaultyProxy(`http://127.0.0.1:${server.port}`);
    await callThroughFaults(await open(`webdav:${proxy.endpoint}/dav/faults/${fault}/`), proxy, fault);
  });

  test('a full one and one that refuses are said to be so, at once', async () => {
    await using proxy = await startFaultyProxy(`http://127.0.0.1:${server.port}`);
    await hearRefusals(await open(`webdav:${proxy.endpoint}/dav/faults/full/`), proxy);
  });

  test('a server that stays away is given up; one that comes back is waited for', async () => {
    await using proxy = await startFaultyProxy(`http://127.0.0.1:${server.port}`);
    await giveUpInTime(await open(`webdav:${proxy.endpoint}/dav/faults/x/`), proxy);
    const settings = { user: signIn.user, password: clearSecret(signIn.password) };
    const url = `webdav:http://127.0.0.1:${server.port}/dav/away/`;
    const storage = await openForTest(webdavStorage, url, { settings, create: true });
    const bytes = body(100_000, 1);
    await storage.put('config', [bytes]);
    await server.stop();
    const reading = storage.get('config');
    await sleep(100);
    await server.start();
    expectBytes(await reading, bytes, 'the object');
  });
});

test('a folder that is not there is an error, not an empty repository', async () => {
  const storage = await open(`webdav:http://127.0.0.1:${server.port}/dav/no/such/`, {}, false);
  for (const call of [storage.get('config'), storage.stat('config'), listed(storage, 'data')]) {
    await expect(call).rejects.toMatchObject({ code: 'storage.not-found' });
  }
  await expect(storage.put('data/x', [body(1, 1)])).rejects.toMatchObject({ code: 'storage.not-found' });
});

test('a wrong password is denied, and shown nowhere', async () => {
  const url = `webdav:http://127.0.0.1:${server.port}/dav/x/`;
  const refused = await open(url, { password: clearSecret('a-wrong-one') }).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'storage.denied', remedy: expect.stringContaining('webdav.password') });
  expect(inspect(refused, { depth: 20, showHidden: true })).not.toContain('a-wrong-one');
  expect(readFileSync('/proc/self/cmdline', 'utf8')).not.toContain('a-wrong-one');
});

test('what was put is as it was put on the server, and what is on its way is not seen', async () => {
  const storage = await open(`webdav:http://127.0.0.1:${server.port}/dav/plain/`);
  const bytes = body(70_000, 3);
  await storage.put('data/ab/object', [bytes]);
  expectBytes(readFileSync(join(server.directory, 'plain/data/ab/object')), bytes, 'the file');
  expect(readdirSync(join(server.directory, 'plain')).sort()).toEqual(['data', '~holdfast']);
  expect([...(await listed(storage, 'data')).keys()]).toEqual(['data/ab/object']);
});
