/** Restores into running servers and into directories. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Secret } from '../../src/base/secrets.ts';
import { type RedisClient, type RedisServer, startRedis } from '../servers/redis.ts';
import { seedRedis } from '../servers/redis-data.ts';
import { bench, factsOf, installed, programs, restore, type Source, sourceOf, useBench } from './redis-trial.ts';

useBench();

describe.runIf(installed)('a restore', () => {
  test('keeps what is there: the restored keys are swapped in when they are complete', async () => {
    await using server = await startRedis();
    const client = await server.client();
    await seedRedis(server);
    const source = sourceOf(server);
    const stored = await bench.backUp(source);
    await client.all([['FLUSHALL'], ['FUNCTION', 'FLUSH'], ['SET', 'newer', 'content']]);
    const preview = await restore(source, stored, { dryRun: true });
    expect(await client.run('DBSIZE')).toBe(1);
    const { steps } = await restore(source, stored, {});
    expect(steps).toEqual(preview.steps);
    expect(steps.join('\n')).toContain('what was in database 0 (1 key) is kept in database 15');
    expect(await client.run('GET', 'string')).toEqual(Buffer.from('hello'));
    await client.run('SELECT', '15');
    expect(await client.run('GET', 'newer')).toEqual(Buffer.from('content'));
    await client.run('FLUSHDB');
    expect(await factsOf(await bench.backUp(source))).toEqual(await factsOf(stored));
    // With overwrite, nothing of what was there is kept.
    await client.all([
      ['SELECT', '0'],
      ['SET', 'newer', 'content'],
    ]);
    await restore(source, stored, { overwrite: true });
    expect(await factsOf(await bench.backUp(source))).toEqual(await factsOf(stored));
  });

  test('that fails half way leaves what was there, and nothing of its own', async () => {
    await using from = await startRedis({ options: ['--enable-debug-command', 'yes'] });
    await using to = await startRedis();
    const [source, target] = [await from.client(), await to.client()];
    await source.run('DEBUG', 'POPULATE', '20000', 'key', '2000');
    const stored = await bench.backUp(sourceOf(from));
    const into = { target: to.url };
    await target.all([
      ['SET', 'present', 'content'],
      ['CONFIG', 'SET', 'maxmemory', '6mb'],
    ]);
    await expect(restore(sourceOf(from), stored, into)).rejects.toMatchObject({ code: 'restore.target-invalid' });
    // There is room for a part of it.
    await restore(sourceOf(from), stored, { ...into, include: ['key:7'] });
    await target.run('DEL', 'key:7');
    // A server whose memory fills up while keys are restored refuses one of them.
    await target.run('CONFIG', 'SET', 'maxmemory', '0');
    const restoring = restore(sourceOf(from), stored, into);
    restoring.catch(() => undefined);
    while (!String(await target.run('INFO', 'keyspace')).includes('db15')) await setTimeout(1);
    await target.run('CONFIG', 'SET', 'maxmemory', '3mb');
    await expect(restoring).rejects.toMatchObject({
      ...{
        code: 'restore.failed',
        message: expect.stringContaining('OOM'),
        remedy: expect.stringContaining('is untouched'),
      },
    });
    expect(String(await target.run('INFO', 'keyspace')).match(/db\d+:keys=\d+/g)).toEqual(['db0:keys=1']);
    expect(await target.run('GET', 'present')).toEqual(Buffer.from('content'));
  });

  test('of chosen keys goes beside what is there, and replaces only when told to', async () => {
    await using server = await startRedis();
    const client = await server.client();
    await client.all([
      ['MSET', 'user:1', 'a', 'user:2', 'b', 'other', 'c'],
      ['SELECT', '2'],
      ['SET', 'user:1', 'in 2'],
    ]);
    const source = sourceOf(server);
    const stored = await bench.backUp(source);
    await client.all([['FLUSHALL'], ['SELECT', '0'], ['MSET', 'user:2', 'present', 'kept', 'yes']]);
    await expect(restore(source, stored, { include: ['user:*'] })).rejects.toMatchObject({
      ...{ code: 'restore.target-exists', message: expect.stringContaining('string "user:2" in database 0') },
    });
    expect(await client.run('EXISTS', 'user:1')).toBe(0);
    await restore(source, stored, { include: ['user:*'], exclude: ['user:2'] });
    expect(await client.run('MGET', 'user:1', 'user:2', 'other', 'kept')).toEqual(
      ['a', 'present', null, 'yes'].map((one) => one && Buffer.from(one)),
    );
    await restore(source, stored, { include: ['/0/**'], overwrite: true });
    expect(await client.run('MGET', 'user:2', 'other', 'kept')).toEqual(
      ['b', 'c', 'yes'].map((one) => Buffer.from(one)),
    );
  });

  test.runIf(programs.has('redis 8') && programs.has('valkey 9'))('goes from Redis to Valkey and back', async () => {
    await using redis = await startRedis({ program: programs.get('redis 8') });
    await using valkey = await startRedis({ program: programs.get('valkey 9') });
    await seedRedis(redis);
    // Each knows fields that expire, and each writes them in a form of its own.
    await expect(
      restore(sourceOf(redis, 'redis 8'), await bench.backUp(sourceOf(redis, 'redis 8')), { target: valkey.url }),
    ).rejects.toMatchObject({ code: 'restore.target-invalid' });
    await (await redis.client()).run('DEL', 'hash:expiring', 'hash:expiring:large');
    const stored = await bench.backUp(sourceOf(redis, 'redis 8'));
    await restore(sourceOf(redis, 'redis 8'), stored, { target: valkey.url });
    const again = await bench.backUp(sourceOf(valkey, 'valkey 9'));
    expect(await factsOf(again)).toEqual(await factsOf(stored));
    await (await redis.client()).run('FLUSHALL');
    await restore(sourceOf(valkey, 'valkey 9'), again, { target: redis.url });
    expect(await factsOf(await bench.backUp(sourceOf(redis, 'redis 8')))).toEqual(await factsOf(stored));
  });

  test('into a server too old for the data is refused before anything is touched', async () => {
    const [newer, old] = [programs.get('redis 8'), programs.get('redis 6.0')];
    if (newer === undefined || old === undefined) return;
    await using from = await startRedis({ program: newer });
    await using to = await startRedis({ program: old });
    await seedRedis(from);
    const stored = await bench.backUp(sourceOf(from, 'redis 8'));
    await expect(restore(sourceOf(from, 'redis 8'), stored, { target: to.url })).rejects.toMatchObject({
      ...{ code: 'restore.target-invalid', message: expect.stringContaining('too old') },
    });
    expect(await (await to.client()).run('DBSIZE')).toBe(0);
    // What an old server knows, it gets: strings look the same since the beginning.
    await restore(sourceOf(from, 'redis 8'), stored, { target: to.url, include: ['string', 'number:*'] });
    expect(await (await to.client()).run('GET', 'string')).toEqual(Buffer.from('hello'));
  });

  test('by a user who may not ask what there is empties no database that others use', async () => {
    await using server = await startRedis();
    const client = await server.client();
    await client.run('SET', 'key', 'stored');
    const stored = await bench.backUp(sourceOf(server));
    await client.all([
      ['SET', 'key', 'newer'],
      ['SELECT', '15'],
      ['SET', 'precious', 'content'],
    ]);
    const some = '~* +ping +select +dbsize +exists +restore +flushdb +config|get';
    const half = await userOf(server, { name: 'half', word: 'a', rights: some });
    const whole = await userOf(server, { name: 'whole', word: 'b', rights: `${some} +swapdb` });
    // Nor is anything left where the last step is refused.
    await expect(restore(sourceOf(server), stored, { targetSource: half })).rejects.toThrow(
      /SWAPDB.*; database 0 is as it was$/,
    );
    expect(await holds(client)).toEqual(['db0:keys=1', 'db15:keys=1']);
    await restore(sourceOf(server), stored, { targetSource: whole });
    expect(await holds(client)).toEqual(['db0:keys=1', 'db14:keys=1', 'db15:keys=1']);
    expect(await client.run('GET', 'precious')).toEqual(Buffer.from('content'));
  });

  test('leaves what others wrote meanwhile into the database that it loads into', async () => {
    await using from = await startRedis({ options: ['--enable-debug-command', 'yes'] });
    await using to = await startRedis();
    const [source, target] = [await from.client(), await to.client()];
    await source.run('DEBUG', 'POPULATE', '20000', 'key', '2000');
    const stored = await bench.backUp(sourceOf(from));
    await target.run('SET', 'present', 'content');
    const restoring = restore(sourceOf(from), stored, { target: to.url });
    restoring.catch(() => undefined);
    while (!(await holds(target)).some((one) => one.startsWith('db15'))) await setTimeout(1);
    await target.all([
      ['SELECT', '15'],
      ['SET', 'precious', 'content'],
    ]);
    await expect(restoring).rejects.toMatchObject({ code: 'restore.failed' });
    expect(await target.run('GET', 'precious')).toEqual(Buffer.from('content'));
  });

  test('needs no more rights than the documentation says, and so does a backup', async () => {
    await using server = await startRedis();
    await using target = await startRedis();
    await seedRedis(server);
    const page = readFileSync(new URL('../../docs/drivers/redis.md', import.meta.url), 'utf8');
    const grants = [...page.matchAll(/^ACL SETUSER (\w+) on >(\S+) (.*)$/gm)];
    expect(grants.map(([, user]) => user)).toEqual(['backup', 'restorer']);
    const asUser = async (there: RedisServer, [, name, word, rights]: RegExpMatchArray): Promise<Source> =>
      await userOf(there, { name, word, rights });
    const stored = await bench.backUp(await asUser(server, grants[0]));
    const targetSource = await asUser(target, grants[1]);
    await restore(sourceOf(server), stored, { targetSource });
    await restore(sourceOf(server), stored, { targetSource, overwrite: true });
    await restore(sourceOf(server), stored, { targetSource, include: ['string'], overwrite: true });
    expect(await factsOf(await bench.backUp(sourceOf(target)))).toEqual(await factsOf(stored));
  });

  test('into a directory gives a file that the server starts with', async () => {
    await using server = await startRedis();
    await seedRedis(server);
    const source = sourceOf(server);
    const stored = await bench.backUp(source);
    const directory = await bench.directory();
    const { steps } = await restore(source, stored, { target: directory });
    expect(steps.length).toBeGreaterThan(2);
    execFileSync('redis-check-rdb', [join(directory, 'dump.rdb')]);
    await using again = await startRedis({ options: ['--dir', directory] });
    expect(await factsOf(await bench.backUp(sourceOf(again)))).toEqual(await factsOf(stored));
    await expect(restore(source, stored, { target: directory })).rejects.toMatchObject({
      code: 'restore.target-exists',
    });
  });

  test('wants a database for each that the data has', async () => {
    await using server = await startRedis();
    await using few = await startRedis({ options: ['--databases', '4'] });
    await seedRedis(server);
    const stored = await bench.backUp(sourceOf(server));
    await expect(restore(sourceOf(server), stored, { target: few.url })).rejects.toMatchObject({
      ...{ code: 'restore.target-invalid', message: expect.stringContaining('too few databases') },
    });
    expect(await (await few.client()).run('DBSIZE')).toBe(0);
  });

  test('into databases that hold keys needs empty ones to load beside them', async () => {
    await using server = await startRedis({ options: ['--databases', '2'] });
    const client = await server.client();
    await client.all([
      ['SET', 'key', 'in 0'],
      ['SELECT', '1'],
      ['SET', 'key', 'in 1'],
    ]);
    const source = sourceOf(server);
    const stored = await bench.backUp(source);
    for (const overwrite of [false, true]) {
      await expect(restore(source, stored, { overwrite })).rejects.toMatchObject({
        ...{ code: 'restore.target-exists', remedy: expect.stringContaining('FLUSHDB') },
      });
    }
    await client.run('FLUSHALL');
    await restore(source, stored, {});
    expect(await factsOf(await bench.backUp(source))).toEqual(await factsOf(stored));
  });

  test('goes neither to replicas, nor into clusters, nor to what is no server', async () => {
    await using server = await startRedis();
    await (await server.client()).run('SET', 'a', 'b');
    const source = sourceOf(server);
    const stored = await bench.backUp(source);
    await using replica = await startRedis({ options: ['--replicaof', '127.0.0.1 1'] });
    await using node = await startRedis({ isNode: true });
    for (const target of [replica.url, node.url, 'somewhere', 'redis://user:pw@host', 'redis://host/1']) {
      await expect(restore(source, stored, { target }), target).rejects.toMatchObject({
        code: 'restore.target-invalid',
      });
    }
    await expect(restore(source, stored, { target: '/nowhere', include: ['a'] })).rejects.toThrow('in part');
  });
});

/** A source of a server that signs in as a user of its own. */
async function userOf(
  server: RedisServer,
  { name, word, rights }: { name: string; word: string; rights: string },
): Promise<Source> {
  await (await server.client()).run('ACL', 'SETUSER', name, 'on', `>${word}`, ...rights.split(' '));
  const { settings, ...rest } = sourceOf(server);
  const url = server.url.replace('//', `//${name}@`);
  return { ...rest, settings: { ...settings, url, password: { from: 'clear', secret: new Secret(word) } } };
}

/** Databases with keys, and how many each has. */
async function holds(client: RedisClient): Promise<readonly string[]> {
  return String(await client.run('INFO', 'keyspace')).match(/db\d+:keys=\d+/g) ?? [];
}
