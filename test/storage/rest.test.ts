/** REST storage with restic's names, and when something goes wrong: servers away, append-only, refusing, full. */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { forEachConcurrent } from '../../src/base/concurrency.ts';
import { body, listed } from '../../src/storage/conformance/case.ts';
import { restStorage } from '../../src/storage/rest/index.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { type RcloneServer, startRclone } from '../servers/rclone.ts';
import { clearSecret, openForTest } from '../support/storages.ts';

async function serve(...options: string[]): Promise<{ server: RcloneServer; directory: string }> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-rest-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const server = await startRclone({ protocol: 'restic', directory, user: 'me', password: 'right', options });
  onTestFinished(() => server[Symbol.asyncDispose]());
  return { server, directory };
}

async function open({ port }: RcloneServer, path = '/repository/', password = 'right'): Promise<Storage> {
  const settings = { user: 'me', password: clearSecret(password) };
  return await openForTest(restStorage, `rest:http://127.0.0.1:${port}${path}`, { settings, create: true });
}

function id(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

test('restic’s own objects lie where restic looks for them; the others beside, named by their content', async () => {
  const { server, directory } = await serve();
  const storage = await open(server);
  const bytes = body(300_000, 1);
  const pack = id(bytes);
  await storage.put('config', [bytes.subarray(0, 100)], { mustNotExist: true });
  await storage.put(`data/${pack.slice(0, 2)}/${pack}`, [bytes]);
  await storage.put(`holdfast/pins/${pack}`, []);
  await expect(storage.put('config', [bytes], { mustNotExist: true })).rejects.toMatchObject({
    code: 'storage.exists',
  });
  expect(await listed(storage, 'data')).toEqual(new Map([[`data/${pack.slice(0, 2)}/${pack}`, 300_000]]));
  expect(await listed(storage, 'holdfast/pins')).toEqual(new Map([[`holdfast/pins/${pack}`, 0]]));
  expect(await listed(storage, 'snapshots')).toEqual(new Map());
  const into = new Uint8Array(1000);
  await storage.getInto(`data/${pack.slice(0, 2)}/${pack}`, 500, into);
  expect(Buffer.compare(into, bytes.subarray(500, 1500))).toBe(0);
  for (const past of [299_500, 300_000, 400_000]) {
    const reading = storage.getInto(`data/${pack.slice(0, 2)}/${pack}`, past, into);
    await expect(reading).rejects.toMatchObject({ code: 'storage.io' });
  }
  expect(readdirSync(join(directory, 'repository', 'data', pack.slice(0, 2)))).toEqual([pack]);
  for (const name of readdirSync(join(directory, 'repository/holdfast/snapshots'))) {
    const stored = execFileSync('sha256sum', [join(directory, 'repository/holdfast/snapshots', name)], {
      encoding: 'utf8',
    });
    expect(stored.split(' ')[0]).toBe(name);
  }
});

test('a thousand objects are listed, each once', async () => {
  const { server } = await serve();
  const storage = await open(server);
  const names = Array.from({ length: 1050 }, (_, at) => `index/${id(Buffer.from(`${at}`))}`);
  await forEachConcurrent(names, 16, (name) => storage.put(name, [Buffer.from(name)]));
  expect((await listed(storage, 'index')).size).toBe(names.length);
});

test('a server that is away for a while is waited for, in the middle of a put, too', async () => {
  const { server } = await serve();
  const storage = await open(server);
  const bytes = body(8_000_000, 2);
  const name = `keys/${id(bytes)}`;
  const putting = storage.put(name, [bytes], { mustNotExist: true });
  await sleep(5);
  await server.stop();
  await sleep(100);
  await server.start();
  await putting;
  await server.stop();
  const reading = storage.get(name);
  await sleep(100);
  await server.start();
  expect(Buffer.compare(await reading, bytes)).toBe(0);
});

test('an append-only server keeps what it has and says so; locks come and go', async () => {
  const { server } = await serve('--append-only');
  const storage = await open(server);
  const name = (type: string): string => `${type}/${id(Buffer.from(type))}`;
  for (const type of ['locks', 'keys', 'snapshots']) await storage.put(name(type), [Buffer.from(type)]);
  await storage.delete(name('locks'));
  await expect(storage.delete(name('snapshots'))).rejects.toMatchObject({
    code: 'storage.denied',
    remedy: expect.stringContaining('append-only'),
  });
  await storage.put(name('keys'), [Buffer.from('keys')]); // the same bytes: nothing to refuse
  await expect(storage.put(name('keys'), [Buffer.from('other')])).rejects.toMatchObject({ code: 'storage.denied' });
  const again = storage.put(name('keys'), [Buffer.from('keys')], { mustNotExist: true });
  await expect(again).rejects.toMatchObject({ code: 'storage.exists' });
  await storage.put('holdfast/pins/one', []);
  await expect(storage.delete('holdfast/pins/one')).rejects.toMatchObject({ code: 'storage.denied' });
});

test('a wrong password is denied, and shown nowhere', async () => {
  const { server } = await serve();
  const refused = await open(server, '/repository/', 'a-wrong-one').catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'storage.denied', remedy: expect.stringContaining('rest.password') });
  expect(JSON.stringify(refused) + String(refused)).not.toContain('a-wrong-one');
});
