/** SFTP storage when something goes wrong: connections cut, full disks, servers that refuse. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { body } from '../../src/storage/conformance/case.ts';
import { sftpStorage } from '../../src/storage/sftp/index.ts';
import type { SftpSettings } from '../../src/storage/sftp/settings.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { makeKey, type Sshd, startSshd } from '../servers/sshd.ts';
import { endProcess } from '../support/end-process.ts';
import { openForTest } from '../support/storages.ts';

let server: Sshd;
let base: string;
let place: string;
let count = 0;

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'holdfast-sftp-'));
  server = await startSshd();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(base, { recursive: true });
});
beforeEach(() => {
  place = join(base, `place-${count++}`);
});

function settings(): Partial<SftpSettings> {
  return { key: { from: 'file', path: server.key }, knownHosts: server.knownHosts };
}

async function open(other: Partial<SftpSettings> = {}, create = true): Promise<Storage> {
  return await openForTest(sftpStorage, `sftp://${server.address}/${place}`, {
    settings: { ...settings(), ...other },
    create,
  });
}

/** Every connection ends as if the network had. */
function cut(): void {
  for (const id of server.serving()) endProcess(id);
}

test('connections cut at random moments of puts and gets are made anew; every object is whole or absent', async () => {
  const [storage, reader] = [await open(), await open()];
  const bodies = Array.from({ length: 12 }, (_, at) => body(3_000_000 + at, at));
  const cuts = (async () => {
    for (let turn = 0; turn < 5; turn++) {
      await sleep(50 + Math.random() * 200);
      cut();
      await sleep(200);
      for await (const { name, sizeBytes } of reader.list('data')) {
        expect(sizeBytes).toBe(bodies[Number(name.slice(8))].length);
      }
    }
  })();
  try {
    for (let at = 0; at < bodies.length; at += 4) {
      const names = [0, 1, 2, 3].map((next) => at + next);
      await Promise.all(
        names.map((one) => storage.put(`data/ab/${one}`, [bodies[one]], { mustNotExist: one % 2 === 0 })),
      );
      await Promise.all(
        names.map(async (one) => expect(Buffer.compare(await storage.get(`data/ab/${one}`), bodies[one])).toBe(0)),
      );
    }
  } finally {
    await cuts;
  }
  // what lost connections left is removed as soon as the next put succeeds
  await storage.put('config', [body(10, 1)]);
  expect(readdirSync(join(place, '~holdfast'))).toEqual([]);
});

test('a server that is away for a while is waited for', async () => {
  const storage = await open();
  await storage.put('config', [body(1000, 1)]);
  await server.stop();
  const reading = storage.get('config');
  await sleep(300);
  await server.start();
  expect(Buffer.compare(await reading, body(1000, 1))).toBe(0);
});

test('a full disk is said to be full, leaves nothing, and can be used again', async () => {
  mkdirSync(place);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', place]);
  try {
    const storage = await open();
    await storage.put('keys/a', [body(1_000_000, 1)]);
    const full = storage.put('data/ab/large', [body(6_000_000, 2)]);
    await expect(full).rejects.toMatchObject({ code: 'storage.full', remedy: expect.stringContaining('Free space') });
    expect(await storage.stat('data/ab/large')).toBeUndefined();
    expect(readdirSync(join(place, '~holdfast'))).toEqual([]);
    await storage.put('keys/b', [body(1_000_000, 3)]);
  } finally {
    execFileSync('umount', [place]);
  }
});

test('a disk that is unmounted on the server is neither written beside nor taken for an empty repository', async () => {
  mkdirSync(place);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', place]);
  let mounted = true;
  try {
    await (await open()).put('config', [body(100, 1)]);
    const storage = await open({}, false);
    await storage.put('keys/a', [body(100, 1)]);
    execFileSync('umount', [place]);
    mounted = false;
    await expect(storage.put('keys/b', [body(100, 1)])).rejects.toMatchObject({ code: 'storage.not-found' });
    await expect(storage.stat('keys/a')).rejects.toMatchObject({ code: 'storage.not-found' });
    expect(readdirSync(place)).toEqual([]);
  } finally {
    if (mounted) execFileSync('umount', [place]);
  }
});

test('a directory that is not there is an error, and only made when asked to', async () => {
  const storage = await open({}, false);
  await expect(storage.get('config')).rejects.toMatchObject({ code: 'storage.not-found' });
  await expect(storage.put('config', [body(1, 1)])).rejects.toMatchObject({
    code: 'storage.not-found',
    message: expect.stringContaining('does not exist'),
  });
});

test('a server with another host key, or an unknown one, is told nothing', async () => {
  writeFileSync(join(base, 'nobody'), '');
  await expect(open({ knownHosts: join(base, 'nobody') })).rejects.toMatchObject({
    code: 'storage.unreachable',
    retry: 'never',
    message: expect.stringContaining('is not known: it shows the host key ssh-ed25519 SHA256:'),
    remedy: expect.stringContaining('ssh-keygen -lf'),
  });
  await expect(open({ knownHosts: undefined, hostKey: `SHA256:${'A'.repeat(43)}` })).rejects.toMatchObject({
    message: expect.stringContaining('pins'),
  });
});

test('a key that may not sign in is denied, once, with what to check', async () => {
  makeKey(join(base, 'stranger'));
  await expect(open({ key: { from: 'file', path: join(base, 'stranger') } })).rejects.toMatchObject({
    code: 'storage.denied',
    remedy: expect.stringContaining('authorized_keys'),
  });
});

test('leftovers of a day ago are swept by the next put, younger ones stay', async () => {
  const storage = await open();
  await storage.put('config', [body(1, 1)]);
  const folder = join(place, '~holdfast');
  for (const name of ['old', 'young']) writeFileSync(join(folder, name), 'x');
  const yesterday = Date.now() / 1000 - 25 * 3600;
  utimesSync(join(folder, 'old'), yesterday, yesterday);
  await (await open()).put('keys/a', [body(1, 1)]);
  expect(readdirSync(folder)).toEqual(['young']);
});

test('through a jump host', async () => {
  const storage = await open({ jump: server.address });
  await storage.put('keys/a', [body(100_000, 1)]);
  expect(Buffer.compare(await storage.get('keys/a'), body(100_000, 1))).toBe(0);
});
