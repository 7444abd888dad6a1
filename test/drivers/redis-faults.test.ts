/** What goes wrong while a server is backed up, and what must not be seen of it. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { Secret } from '../../src/base/secrets.ts';
import { redis } from '../../src/drivers/redis/index.ts';
import { openDriverBench } from '../../src/operations/sources/driver-bench.ts';
import { storageKinds } from '../../src/storage/registry.ts';
import { startRedis } from '../servers/redis.ts';
import { seedRedis } from '../servers/redis-data.ts';
import {
  bench,
  cuttingProxy,
  drill,
  failed,
  installed,
  restore,
  type Source,
  sourceAt,
  sourceOf,
  useBench,
} from './redis-trial.ts';

const password = 'geheim-7f3a';
useBench();

describe.runIf(installed)('what goes wrong', () => {
  const refuses = async (source: Source, expected: Record<string, unknown>): Promise<void> => {
    const before = await bench.countSnapshots();
    await expect(bench.backUp(source)).rejects.toMatchObject({ remedy: expect.stringMatching(/.{20}/), ...expected });
    expect(await bench.countSnapshots()).toBe(before);
  };

  test('a wrong password, a missing one, and a user who may not replicate are told apart', async () => {
    await using server = await startRedis({ password });
    const clear = (text: string) => ({ from: 'clear', secret: new Secret(text) });
    const client = await server.client();
    await client.run('ACL', 'SETUSER', 'backup', 'on', `>${password}`, '+ping', '+replconf');
    const { url } = server;
    const asUser = url.replace('//', '//backup@');
    await refuses(sourceAt({ url }), { message: expect.stringContaining('it wants a password') });
    await refuses(sourceAt({ url, password: clear('wrong') }), { message: expect.stringContaining('is wrong') });
    await refuses(sourceAt({ url: asUser, password: clear(password) }), {
      message: expect.stringContaining('PSYNC'),
      remedy: expect.stringContaining('ACL SETUSER backup +psync +replconf +ping'),
    });
    await client.run('ACL', 'SETUSER', 'backup', '+psync');
    const allowed = sourceAt({ url: asUser, password: clear(password) });
    expect(failed(await drill(allowed, await bench.backUp(allowed)))).toEqual([]);
  });

  test('a command that is renamed away is a service that forbids backups', async () => {
    await using server = await startRedis({ options: ['--rename-command', 'PSYNC', ''] });
    await refuses(sourceOf(server), {
      code: 'source.unsupported',
      message: expect.stringContaining('does not know the command'),
    });
  });

  test('a server that dies and a connection that is cut leave no snapshot', async () => {
    await using server = await startRedis({ options: ['--rdb-key-save-delay', '500', '--rdbcompression', 'no'] });
    const client = await server.client();
    for (let i = 0; i < 4000; i++) await client.run('SET', `key:${i}`, 'x'.repeat(1000));
    await using cut = await cuttingProxy(server.port, 500_000);
    await refuses(sourceAt({ url: `redis://127.0.0.1:${cut.port}` }), { retry: 'later' });
    expect(String(await client.run('INFO', 'replication'))).toContain('connected_slaves:0');
    const dies: Source = {
      ...sourceOf(server),
      report: (event) => {
        if (event.type === 'stage' && event.stage === 'store') server.kill();
      },
    };
    await refuses(dies, { retry: 'later' });
  });

  test('a change of one bit on the way is noticed', async () => {
    await using server = await startRedis();
    await seedRedis(server);
    await using flipping = await cuttingProxy(server.port, Number.POSITIVE_INFINITY, 20_000);
    for (const fingerprint of ['full', 'off']) {
      // The bit may be one of a value's type, which then is a type nobody knows.
      await refuses(sourceAt({ url: `redis://127.0.0.1:${flipping.port}`, fingerprint }), {
        code: expect.stringMatching(/^source\.(?:unreadable|unsupported)$/),
      });
    }
  });

  test('a full disk leaves no snapshot', async () => {
    await using server = await startRedis();
    const client = await server.client();
    for (let i = 0; i < 40; i++) await client.run('SET', `key:${i}`, randomText(1 << 18));
    const place = mkdtempSync(join(tmpdir(), 'holdfast-full-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', place]);
    } catch {
      rmSync(place, { recursive: true });
      return; // Only root can make a disk that is full.
    }
    try {
      await using full = await openDriverBench({ driver: redis, storageKinds, clock: systemClock, place });
      await expect(full.backUp(sourceOf(server))).rejects.toMatchObject({ code: 'storage.full' });
      expect(await full.countSnapshots()).toBe(0);
    } finally {
      execFileSync('umount', [place]);
      rmSync(place, { recursive: true });
    }
    expect(String(await client.run('INFO', 'replication'))).toContain('connected_slaves:0');
  });

  test('a drill that is killed leaves no server behind', async () => {
    await using server = await startRedis();
    await seedRedis(server);
    const directory = await bench.directory();
    const stored = await bench.backUp(sourceOf(server));
    await restore(sourceOf(server), stored, { target: directory });
    const here = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
    // A process that starts the server of a drill on the file, says so, and waits to be killed.
    const script = `
      const { unattended } = await import(${here('../../src/drivers/conformance/context.ts')});
      const { startServer } = await import(${here('../../src/drivers/redis/throwaway-server.ts')});
      const { localHost } = await import(${here('../../src/hosts/local/index.ts')});
      const host = localHost();
      const version = { product: 'redis', version: '7.0.0' };
      const place = { host, program: 'redis-server', server: version, title: '', directory: ${JSON.stringify(directory)} };
      await startServer(unattended({ name: 'killed', settings: {}, host, local: host }), place, 16);
      console.log('started');
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    const mine = (): string[] => commandLines().filter((line) => line.includes(directory) && !line.includes('import('));
    expect(mine().length).toBeGreaterThan(0);
    child.kill('SIGKILL');
    await expect.poll(mine).toEqual([]);
  });

  test('the password is on no command line while a backup and a drill run', async () => {
    await using server = await startRedis({ options: ['--rdb-key-save-delay', '2000'] });
    const client = await server.client();
    await seedRedis(server);
    await client.run('CONFIG', 'SET', 'requirepass', password);
    const source = sourceOf(server, 'installed', { password: { from: 'clear', secret: new Secret(password) } });
    let looked = 0;
    const look = setInterval(() => {
      looked++;
      for (const line of commandLines()) expect(line).not.toContain(password);
    }, 20);
    try {
      expect(failed(await drill(source, await bench.backUp(source)))).toEqual([]);
    } finally {
      clearInterval(look);
    }
    expect(looked).toBeGreaterThan(5);
  });
});

function randomText(bytes: number): Buffer {
  const text = Buffer.allocUnsafe(bytes);
  for (let i = 0; i < bytes; i++) text[i] = Math.random() * 256;
  return text;
}

/** Of all processes. */
function commandLines(): string[] {
  const read = (pid: string): string => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
    } catch {
      return '';
    }
  };
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(read);
}
