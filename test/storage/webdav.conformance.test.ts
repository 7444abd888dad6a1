/** The promises of a storage against three WebDAV servers. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runStorageCase, storageCases } from '../../src/storage/check.ts';
import { webdavStorage } from '../../src/storage/webdav/index.ts';
import { startRclone } from '../servers/rclone.ts';
import { startApache, startNginx } from '../servers/webdav.ts';
import { clearSecret, openAt } from '../support/storages.ts';

interface Served extends AsyncDisposable {
  readonly port: number;
  readonly directory: string;
}

const signIn = { user: 'me', password: 'right' };

async function rclone(): Promise<Served> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-webdav-'));
  const server = await startRclone({
    protocol: 'webdav',
    directory,
    ...signIn,
    options: ['--baseurl', '/dav', '--dir-cache-time', '0s'],
  });
  return {
    port: server.port,
    directory,
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true });
    },
  };
}

/** A MOVE that replaces: Apache and rclone remove what is there first, so that for a moment there is nothing. */
const inTwoSteps = ['atomic-replace'];
/** A thousand puts on one of the three are enough for the tests of every day: SLOW=1 does them on all. */
const longList = process.env.SLOW === undefined ? ['long-list'] : [];

describe.each([
  {
    server: 'Apache, digest',
    start: () => startApache({ ...signIn, auth: 'digest' }),
    notPromised: inTwoSteps,
    slow: [],
  },
  { server: 'nginx, basic', start: () => startNginx({ ...signIn, auth: 'basic' }), notPromised: [], slow: longList },
  { server: 'rclone, basic', start: rclone, notPromised: inTwoSteps, slow: longList },
])('$server', ({ start, notPromised, slow }) => {
  let served: Served;
  beforeAll(async () => {
    served = await start();
  });
  afterAll(() => served?.[Symbol.asyncDispose]());

  test.each(storageCases.filter(({ id }) => ![...notPromised, ...slow].includes(id)))('$why', async (each) => {
    const settings = { user: signIn.user, password: clearSecret(signIn.password) };
    const result = await runStorageCase(each, {
      open: () => openAt(webdavStorage, `webdav:http://127.0.0.1:${served.port}/dav/a/b/`, { settings, create: true }),
      prefix: 'holdfast/check',
    });
    if (result.error !== undefined) throw result.error;
    expect(result).toMatchObject({ passed: true });
  });

  test('of no case is anything left, not even a folder; and what is in a folder keeps it', async () => {
    const settings = { user: signIn.user, password: clearSecret(signIn.password) };
    const url = `webdav:http://127.0.0.1:${served.port}/dav/a/b/`;
    const storage = await openAt(webdavStorage, url, { settings, create: false });
    const left = () => readdirSync(join(served.directory, 'a/b'), { recursive: true }).sort();
    try {
      // What a put that was broken off left on its way may be there, too.
      expect(left().filter((name) => !`${name}`.startsWith('~'))).toEqual(['holdfast', 'holdfast/check']);
      await storage.put('holdfast/check/deep/kept', [Buffer.from('x')]);
      await storage.removeFolders?.('holdfast');
      expect(await storage.stat('holdfast/check/deep/kept')).toMatchObject({ sizeBytes: 1 });
      await storage.delete('holdfast/check/deep/kept');
      await storage.removeFolders?.('holdfast');
      expect(left()).toEqual([]);
    } finally {
      await storage.close();
    }
  });
});
