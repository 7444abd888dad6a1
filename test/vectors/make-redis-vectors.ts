/** Makes redis/*.rdb: the same data, saved by servers of several releases. usage: node test/vectors/make-redis-vectors.ts */
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type RedisRelease, redisProgram, startRedis } from '../servers/redis.ts';
import { seedRedis } from '../servers/redis-data.ts';

const releases: readonly RedisRelease[] = ['redis 6.0', 'installed', 'redis 8', 'valkey 8', 'valkey 9'];

for (const release of releases) {
  const program = await redisProgram(release);
  if (program === undefined) throw new Error(`${release} cannot be had here`);
  await using server = await startRedis({ program });
  const refused = await seedRedis(server);
  const client = await server.client();
  const version = /(?:valkey|redis)_version:(\S+)/g;
  const versions = [...String(await client.run('INFO', 'server')).matchAll(version)].map(([text]) => text);
  const name = (versions.find((text) => text.startsWith('valkey')) ?? versions[0]).replace('_version:', '-');
  await client.run('SAVE');
  copyFileSync(join(server.folder, 'dump.rdb'), join(fileURLToPath(new URL('redis', import.meta.url)), `${name}.rdb`));
  console.log(name, refused.length === 0 ? '' : `without: ${refused.join('; ')}`);
}
