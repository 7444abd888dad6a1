/** Copies of real servers of every release at hand, and drills of them. COPIES: how many under writers. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { redis } from '../../src/drivers/redis/index.ts';
import type { Fact } from '../../src/model/fingerprint.ts';
import { type RedisServer, startRedis } from '../servers/redis.ts';
import { accounts, seedBank, seedRedis, startWriters, total } from '../servers/redis-data.ts';
import {
  bench,
  cuttingProxy,
  drill,
  factsOf,
  failed,
  fingerprintOf,
  host,
  installed,
  programs,
  restore,
  type Stored,
  sourceAt,
  sourceOf,
  useBench,
  withCopy,
} from './redis-trial.ts';

const debuggable = ['--enable-debug-command', 'yes'];
useBench();

describe.each([...programs])('%s', (release, program) => {
  test('gives all its data in every encoding, and a drill in the same release finds it exact', async () => {
    await using server = await startRedis({ program });
    await seedRedis(server);
    const source = sourceOf(server, release);
    expect(failed(await drill(source, await bench.backUp(source)))).toEqual([]);
  });

  test.runIf(programs.has('redis 6.0'))(
    'takes what a server of Redis 6.0 held, and then has the same facts',
    async () => {
      await using to = await startRedis({ program });
      const { problems } = await restore(sourceAt({}), old.stored, { target: to.url });
      expect(problems).toEqual([]);
      expect(await factsOf(await bench.backUp(sourceOf(to, release)))).toEqual(old.facts);
    },
  );
});

/** A snapshot of a server of Redis 6.0. */
let old: { readonly stored: Stored; readonly facts: readonly Fact[] };
beforeAll(async () => {
  const program = programs.get('redis 6.0');
  if (program === undefined) return;
  await using server = await startRedis({ program });
  await seedRedis(server);
  const stored = await bench.backUp(sourceOf(server, 'redis 6.0'));
  old = { stored, facts: await factsOf(stored) };
});

describe.runIf(installed)('a copy', () => {
  test('is one state while others write: no transaction is cut in two', async () => {
    await using server = await startRedis();
    await seedBank(await server.client());
    const source = sourceOf(server);
    await using writers = await startWriters(server, 3);
    const seen = new Set<string>();
    for (let i = 0; i < Number(process.env.COPIES ?? 2); i++) {
      const before = writers.count();
      const stored = await bench.backUp(source);
      expect(writers.count()).toBeGreaterThan(before);
      const expected = await fingerprintOf(stored);
      await withCopy(source, stored, async (copy) => {
        expect(failed(await copy.compare(expected))).toEqual([]);
        const names = Array.from({ length: accounts }, (_, n) => `account:${n}`).join(' ');
        const balances = (await copy.query!(`MGET ${names}`)).split('\n').map(Number);
        expect(balances.reduce((sum, one) => sum + one, 0)).toBe(total);
        seen.add(balances.join());
      });
    }
    expect(seen.size).toBeGreaterThan(1);
  });

  test('can be taken by length as well: from a server that writes to its disk first', async () => {
    await using server = await startRedis({ options: ['--repl-diskless-sync', 'no', '--rdbcompression', 'no'] });
    await seedRedis(server);
    const source = sourceOf(server);
    expect(failed(await drill(source, await bench.backUp(source)))).toEqual([]);
    expect(readdirSync(server.folder).filter((name) => name.startsWith('temp'))).toEqual([]);
  });

  test('is the same from a replica', async () => {
    await using primary = await startRedis();
    await seedRedis(primary);
    await using replica = await startRedis({ options: ['--replicaof', `127.0.0.1 ${primary.port}`] });
    const client = await replica.client();
    while (!String(await client.run('INFO', 'replication')).includes('master_link_status:up')) await setTimeout(20);
    const [one, other] = [await bench.backUp(sourceOf(primary)), await bench.backUp(sourceOf(replica))];
    expect(await factsOf(other)).toEqual(await factsOf(one));
  });

  test('comes whole where it is read slowly, long after the server has sent all of it', async () => {
    for (const release of ['installed', 'redis 6.0', 'valkey 9'] as const) {
      const program = programs.get(release);
      if (program === undefined) continue;
      await using server = await startRedis({ program, options: ['--rdbcompression', 'no'] });
      await (await server.client()).run('SET', 'key', 'x'.repeat(200_000));
      await using capture = await redis.capture(sourceOf(server, release));
      const [folder] = await capture.root.children();
      const [dump] = folder.kind === 'dir' ? await folder.children() : [];
      if (dump.kind !== 'file') throw new Error('no file');
      const reader = await dump.open();
      let bytes = await reader.read(Buffer.alloc(1000));
      await setTimeout(2500);
      for (let read = 1; read > 0; bytes += read) read = await reader.read(Buffer.alloc(1 << 16));
      await capture.complete();
      await reader.close();
      expect(bytes, release).toBeGreaterThan(200_000);
    }
  });

  test('is refused by a replica that has lost its primary', async () => {
    await using replica = await startRedis({ options: ['--replicaof', '127.0.0.1 1'] });
    await expect(bench.backUp(sourceOf(replica))).rejects.toMatchObject({
      ...{ code: 'source.busy', message: expect.stringContaining('no connection to its primary'), retry: 'later' },
    });
  });

  test('keeps keys whose time has passed since, and still misses those that are really gone', async () => {
    await using server = await startRedis({ options: debuggable });
    const client = await server.client();
    await client.all([
      // The server itself keeps them until the backup, however slow this machine is.
      ['DEBUG', 'SET-ACTIVE-EXPIRE', '0'],
      ['SET', 'stays', '1'],
      ['SET', 'soon', '2', 'PX', '1'],
      ['SET', 'late', '3', 'PX', '100000000'],
      ['HSET', 'hash', 'a', 'b'],
      ['PEXPIRE', 'hash', '1'],
    ]);
    await setTimeout(10);
    const source = sourceOf(server);
    const stored = await bench.backUp(source);
    const expected = await fingerprintOf(stored);
    expect(expected.facts).toContainEqual({ subject: 'database 0', measure: 'keys that expire', value: '3' });
    await withCopy(source, stored, async (copy) => {
      expect(await copy.query!('DBSIZE')).toBe('4');
      // A server expires keys ten times a second: not this one.
      await setTimeout(500);
      expect(failed(await copy.compare(expected))).toEqual([]);
      await copy.query!('DEL late');
      expect(failed(await copy.compare(expected))).toContain('database 0 keys that expire');
    });
    // Any other server drops them while it loads the same file.
    const directory = await bench.directory();
    await restore(source, stored, { target: directory });
    await using plain = await startRedis({ options: ['--dir', directory] });
    expect(await (await plain.client()).run('DBSIZE')).toBe(2);
    // Into a running server the keys whose time has passed do not come back, and nothing else is missing.
    await client.run('FLUSHALL');
    const { steps } = await restore(source, stored, { target: server.url });
    expect(steps).toContain('leave out 2 keys whose time has passed since the backup');
    expect(await client.run('MGET', 'stays', 'late', 'soon')).toEqual([Buffer.from('1'), Buffer.from('3'), null]);
    expect(await client.run('DBSIZE')).toBe(2);
  });

  test.runIf(programs.has('redis 8') && programs.has('valkey 9'))(
    'keeps fields of hashes whose time has passed',
    async () => {
      for (const release of ['redis 8', 'valkey 9'] as const) {
        await using server = await startRedis({ program: programs.get(release), options: debuggable });
        const client = await server.client();
        await client.run('DEBUG', 'SET-ACTIVE-EXPIRE', '0');
        await client.run('HSET', 'hash', 'a', '1', 'b', '2');
        await client.run('HPEXPIRE', 'hash', '20', 'FIELDS', '1', 'a');
        await setTimeout(50);
        const source = sourceOf(server, release);
        const stored = await bench.backUp(source);
        const expected = await fingerprintOf(stored);
        expect(expected.facts).toContainEqual({ subject: 'database 0: hashes', measure: 'elements', value: '2' });
        await withCopy(source, stored, async (copy) => {
          await setTimeout(500);
          expect(failed(await copy.compare(expected)), release).toEqual([]);
        });
      }
    },
  );

  test('that differs in one thing of any type fails the drill, and nothing else is blamed', async () => {
    await using server = await startRedis();
    await seedRedis(server);
    const source = sourceOf(server);
    const stored = await bench.backUp(source);
    const expected = await fingerprintOf(stored);
    const changes: Record<string, string> = {
      'APPEND string x': 'strings digest',
      'INCR number:16': 'strings digest',
      'PEXPIREAT expires 4102444800001': 'strings digest',
      'LSET list:large 1000 other': 'lists digest',
      'SMOVE set:small set:numbers:16 17': 'sets digest',
      'ZINCRBY zset:small 0.0000001 a': 'sorted sets digest',
      'HSET hash:large "field 700" "value 701"': 'hashes digest',
      'XDEL stream 5-0': 'streams digest',
      'XACK stream group 5-0': 'streams digest',
      'XGROUP DELCONSUMER stream group bob': 'streams digest',
      'XSETID stream 1700000000009-0': 'streams digest',
      'FUNCTION DELETE holdfast_test': 'functions digest',
    };
    await using opened = await stored.open();
    for (const [change, blamed] of Object.entries(changes)) {
      await using copy = await redis.restoreThrowaway(source, opened.contents, {
        directory: await bench.directory(),
        host,
      });
      await copy.query!(change);
      const found = failed(await copy.compare(expected));
      expect(found, change).toContain(blamed.startsWith('functions') ? blamed : `database 0: ${blamed}`);
      const kind = blamed.replace(' digest', '');
      expect(
        found.filter((one) => !one.includes(kind)),
        change,
      ).toEqual([]);
    }
  });

  test('without a fingerprint is proven by a server that loads it', async () => {
    await using server = await startRedis();
    await seedRedis(server);
    const source = sourceOf(server, 'installed', { fingerprint: 'off' });
    const stored = await bench.backUp(source);
    await withCopy(source, stored, async (copy) => {
      expect(failed(await copy.compare(undefined))).toEqual([]);
      expect(await copy.query!('GET string')).toBe('hello');
    });
    const counts = sourceOf(server, 'installed', { fingerprint: 'counts' });
    expect(failed(await drill(counts, await bench.backUp(counts)))).toEqual([]);
  });

  test('needs a server that can load it, and says so', async () => {
    const newer = programs.get('redis 8');
    if (newer === undefined) return;
    await using server = await startRedis({ program: newer });
    await seedRedis(server);
    const source = sourceOf(server, 'installed');
    const stored = await bench.backUp(source);
    await expect(drill(source, stored)).rejects.toMatchObject({
      ...{ code: 'host.command-missing', message: expect.stringContaining('can load the data of Redis 8') },
    });
  });

  test('of a large server takes little memory', async () => {
    const megabytes = Number(process.env.REDIS_MEGABYTES ?? 160);
    await using server = await startRedis();
    const client = await server.client();
    const value = Buffer.alloc(1 << 20, 0).map((_, i) => (i * i + i) >> 4);
    // Enough to use every buffer there is once.
    const usual = 60;
    for (let i = 0; i < usual; i++) await client.run('SET', `value:${i}`, value);
    const before = peak(server);
    for (let i = usual; i < megabytes; i++) await client.run('SET', `value:${i}`, value);
    expect(peak(server) - before).toBeLessThan(40 << 20);
  });
});

/** What a process that backs the server up held at most, in bytes. */
function peak(server: RedisServer): number {
  const here = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
  const script = `
    const { unattended } = await import(${here('../../src/drivers/conformance/context.ts')});
    const { redis } = await import(${here('../../src/drivers/redis/index.ts')});
    const { localHost } = await import(${here('../../src/hosts/local/index.ts')});
    const host = localHost();
    const settings = redis.settings.parse({ url: ${JSON.stringify(server.url)} });
    const capture = await redis.capture(unattended({ name: 'peak', settings, host, local: host }));
    const [folder] = await capture.root.children();
    const [dump] = await folder.children();
    const reader = await dump.open();
    const into = Buffer.alloc(1 << 16);
    while ((await reader.read(into)) > 0);
    await capture.complete();
    await capture[Symbol.asyncDispose]();
    console.log(process.resourceUsage().maxRSS * 1024);`;
  return Number(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }));
}

test.each([...programs].filter(([release]) => release === 'redis 8' || release === 'valkey 9'))(
  'a node of a cluster says that it is one node (%s)',
  async (release, program) => {
    await using node = await startRedis({ program, isNode: true });
    const source = sourceOf(node, release);
    const warning = { level: 'warning', message: expect.stringContaining('one node') };
    expect(await redis.probe(source)).toContainEqual(expect.objectContaining(warning));
    const client = await node.client();
    await client.run('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
    while (!String(await client.run('CLUSTER', 'INFO')).includes('cluster_state:ok')) await setTimeout(50);
    for (let i = 0; i < 100; i++) await client.run('SET', `key:${i}`, `${i}`, 'PX', '100000');
    expect(failed(await drill(source, await bench.backUp(source)))).toEqual([]);
    await using capture = await redis.capture(source);
    expect(capture.notes().join()).toContain('one node of a cluster');
  },
);

test.runIf(installed)('a Sentinel does not take a backup for a replica', async () => {
  await using server = await startRedis({ options: ['--rdb-key-save-delay', '2000', ...debuggable] });
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-sentinel-'));
  const configuration = join(folder, 'sentinel.conf');
  writeFileSync(configuration, `sentinel monitor main 127.0.0.1 ${server.port} 1\n`);
  try {
    await using sentinel = await startRedis({ sentinel: configuration });
    const [client, watcher] = [await server.client(), await sentinel.client()];
    await client.run('DEBUG', 'POPULATE', '1000');
    await watcher.run('SENTINEL', 'DEBUG', 'info-period', '50');
    let isOver = false;
    const backup = bench.backUp(sourceOf(server)).finally(() => {
      isOver = true;
    });
    backup.catch(() => {});
    let listed = 0;
    while (!isOver) {
      if (String(await client.run('INFO', 'replication')).includes('slave0:')) listed++;
      await setTimeout(50);
    }
    await backup;
    // The Sentinel looked at what we looked at.
    expect(listed).toBeGreaterThan(2);
    expect(await watcher.run('SENTINEL', 'REPLICAS', 'main')).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.runIf(installed)('TLS is spoken and the certificate is checked', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-tls-'));
  try {
    const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const subject = ['-subj', '/CN=redis.test', '-addext', 'subjectAltName=DNS:redis.test'];
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', certificate, ...subject],
      { stdio: 'ignore' },
    );
    const files = ['--tls-cert-file', certificate, '--tls-key-file', key, '--tls-ca-cert-file', certificate];
    await using server = await startRedis({ options: ['--tls-port', '0', ...files, '--tls-auth-clients', 'no'] });
    const client = await server.client();
    await client.run('SET', 'a', 'b');
    await using plain = await cuttingProxy(server.port, Number.POSITIVE_INFINITY);
    await client.run('CONFIG', 'SET', 'port', '0');
    await client.run('CONFIG', 'SET', 'tls-port', String(server.port));
    const url = `rediss://127.0.0.1:${plain.port}`;
    const source = sourceAt({ url, tls: { ca: certificate, serverName: 'redis.test' } });
    expect(failed(await drill(source, await bench.backUp(source)))).toEqual([]);
    for (const tls of [{}, { ca: certificate, serverName: 'another.test' }, { ca: certificate }]) {
      await expect(bench.backUp(sourceAt({ url, tls }))).rejects.toMatchObject({ code: 'host.unreachable' });
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
