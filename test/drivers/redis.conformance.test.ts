import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { unattended } from '../../src/drivers/conformance/context.ts';
import type { SourceContext } from '../../src/drivers/driver.ts';
import { redis } from '../../src/drivers/redis/index.ts';
import { settings } from '../../src/drivers/redis/settings.ts';
import { parseServerVersion, serverTitle } from '../../src/drivers/redis/versions.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import { type RedisRelease, redisProgram, startRedis } from '../servers/redis.ts';
import { seedBank, seedRedis, startWriters } from '../servers/redis-data.ts';
import { type DriverTrial, describeDriver } from './trial.ts';

const host = localHost();

// Of this file alone: throwaway servers of suites that run at the same time are not what was left behind here.
const place = mkdtempSync(join(tmpdir(), 'holdfast-redis-'));
process.env.TMPDIR = place;
afterAll(() => rmSync(place, { recursive: true, force: true }));

/** REDIS_RELEASES=redis 6.0,redis 8,valkey 8: others than these two. */
const releases = (process.env.REDIS_RELEASES?.split(',') ?? ['installed', 'valkey 9']) as readonly RedisRelease[];

/** Each makes one value another: any of them must fail a drill. */
const changes = [
  'HSET hash:small name other',
  'APPEND string x',
  'SETBIT bits 999 1',
  'PEXPIREAT expires 4102444800001',
  'LSET list:large 1000 other',
  'SADD set:numbers:16 4',
  'ZINCRBY zset:small 0.0000001 a',
  'XDEL stream 5-0',
  'INCR moved',
  'RENAME empty emptied',
];

for (const release of releases) {
  const program = await redisProgram(release);
  if (program) describeDriver(`the redis driver with ${release}`, () => openTrial(program));
}

function sourceAt(given: unknown): SourceContext<unknown> {
  return unattended({ name: 'trial', settings: settings.parse(given), host, local: host });
}

async function openTrial(program: string): Promise<DriverTrial> {
  const servers = [await startRedis({ program }), await startRedis({ program })];
  const [server, other] = servers;
  const closed = await startRedis({ program });
  await closed[Symbol.asyncDispose]();
  await seedRedis(server);
  await seedBank(await server.client());
  const serverProgram = execFileSync('sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).trim();
  const { product, version } = parseServerVersion(execFileSync(program, ['--version'], { encoding: 'utf8' }))!;
  return {
    driver: redis,
    server: serverTitle({ product, version }),
    source: sourceAt({ url: server.url, serverProgram }),
    trial: {
      disturb: () => startWriters(server),
      async damage(copy) {
        await copy.query!(changes[Math.floor(Math.random() * changes.length)]);
      },
      refused: [sourceAt({ url: closed.url }), sourceAt({ socket: '/nowhere/redis.sock' })],
      elsewhere: async () => ({ target: other.url, source: sourceAt({ url: other.url, serverProgram }) }),
      async leftovers() {
        const client = await server.client();
        const info = String(await client.run('INFO', 'replication'));
        const replicas = /connected_slaves:(\d+)/.exec(info)?.[1];
        const clients = String(await client.run('CLIENT', 'LIST')).match(/flags=S/g)?.length ?? 0;
        const files = readdirSync(place).filter((name) => !/^holdfast-(redis|check)/.test(name));
        return [
          ...(replicas === '0' ? [] : [`${replicas} replicas`]),
          ...(clients === 0 ? [] : ['a replica']),
          ...files,
        ];
      },
    },
    async [Symbol.asyncDispose]() {
      for (const one of servers) await one[Symbol.asyncDispose]();
    },
  };
}
