/** Redis under faults of every kind; FAULTS says how many. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unattended } from '../../src/drivers/conformance/context.ts';
import { redis } from '../../src/drivers/redis/index.ts';
import { settings } from '../../src/drivers/redis/settings.ts';
import { type RedisServer, redisProgram, startRedis } from '../servers/redis.ts';
import { startTcpProxy } from '../servers/tcp-proxy.ts';
import { fileSecret, tools } from '../support/ssh-hosts.ts';
import type { FaultPlace } from './fault-place.ts';
import { describeFaults, type Victim } from './fault-trial.ts';
import { host, programs } from './redis-trial.ts';

const password = 'cache-password';

if (await redisProgram('installed')) {
  describeFaults({ title: 'redis', driver: redis, open: openVictim });
}

async function openVictim(place: FaultPlace): Promise<Victim> {
  // The server waits between keys, so that a backup takes long enough to be hit in its midst.
  const options = ['--rdb-key-save-delay', '5000', '--rdbcompression', 'no'];
  const server = await startRedis({ password, options });
  const client = await server.client();
  for (let i = 0; i < 100; i++) await client.run('SET', `key:${i}`, randomBytes(20_000));
  const proxy = await startTcpProxy(server.port);
  const secret = join(place.folder, 'cache');
  writeFileSync(secret, password);
  const url = `redis://127.0.0.1:${proxy.port}`;
  const serverProgram = programs.get('installed') === undefined ? undefined : '/usr/bin/redis-server';
  let isDead = false;
  return {
    source: async () =>
      unattended({
        ...{ name: 'trial', host, local: host, secret: tools().secret },
        settings: settings.parse({ url, serverProgram, password: fileSecret(secret) }),
      }),
    declared: { source: { url, serverProgram, password: { file: secret } } },
    faults: {
      'a server that is killed': {
        strike() {
          isDead = true;
          server.kill();
        },
      },
      'a connection that is cut': { strike: () => proxy.cut() },
      'a wrong password': { when: 'before', strike: () => writeFileSync(secret, 'wrong') },
    },
    leftovers: async () => (isDead ? [] : await replicasOf(server)),
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

async function replicasOf(server: RedisServer): Promise<string[]> {
  const client = await server.client();
  const [info, clients] = [await client.run('INFO', 'replication'), await client.run('CLIENT', 'LIST')].map(String);
  const left: string[] = [];
  if (!info.includes('connected_slaves:0')) left.push('a replica');
  if (/flags=S/.test(clients)) left.push('a client that is a replica');
  if (
    clients
      .trim()
      .split('\n')
      .some((line) => !line.includes('flags=U'))
  )
    left.push('a connection');
  return left;
}
