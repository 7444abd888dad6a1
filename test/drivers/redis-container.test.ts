/** Servers in containers: as the source, and as the throwaway of a drill, where this machine needs no server program. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { redis } from '../../src/drivers/redis/index.ts';
import { docker, openContainerEngine } from '../../src/hosts/docker/index.ts';
import type { ContainerEngine } from '../../src/hosts/host.ts';
import { type Podman, startPodman } from '../servers/podman.ts';
import { startRedis } from '../servers/redis.ts';
import { seedRedis } from '../servers/redis-data.ts';
import { bench, drill, failed, fingerprintOf, host, installed, restore, sourceAt, useBench } from './redis-trial.ts';

let podman: Podman;
let containers: ContainerEngine | undefined;
let image: string;

useBench();
beforeAll(async () => {
  podman = await startPodman({ hostPrograms: true });
  image = await podman.importHostImage();
  containers = await openContainerEngine(podman.socketPath);
}, 120_000);
afterAll(async () => {
  await containers?.close();
  await podman?.[Symbol.asyncDispose]();
});

test.runIf(installed)('a copy in a container has every fact, answers, and leaves no container', async () => {
  await using server = await startRedis();
  await seedRedis(server);
  const source = sourceAt({ url: server.url, image });
  const stored = await bench.backUp(source);
  const expected = await fingerprintOf(stored);
  await using opened = await stored.open();
  {
    const throwaway = { directory: await bench.directory(), host, containers };
    await using copy = await redis.restoreThrowaway(source, opened.contents, throwaway);
    expect(copy.instance).toContain(image);
    expect(failed(await copy.compare(expected))).toEqual([]);
    expect(await copy.query!('GET string')).toBe('hello');
  }
  expect(await podman.command('ps', '--all', '--quiet')).toBe('');
  await expect(
    redis.restoreThrowaway(sourceAt({ image: 'localhost/none:1' }), opened.contents, {
      ...{ directory: await bench.directory(), host, containers },
    }),
  ).rejects.toMatchObject({ code: 'host.command-missing' });
});

test.runIf(installed)('a server in a container is reached through it, where nothing of it is published', async () => {
  const name = 'redis-source';
  await podman.command('run', '--detach', '--name', name, '--network', 'none', image, 'redis-server', '--save', '');
  const inside = await docker.open(
    name,
    { docker: name, socket: podman.socketPath },
    {
      clock: systemClock,
      secret: () => Promise.reject(new Error('no secret is needed')),
      local: host,
      through: () => Promise.resolve(host),
      signal: new AbortController().signal,
    },
  );
  try {
    await podman.command('exec', name, 'redis-cli', '-r', '3', 'RPUSH', 'list', 'a', 'b');
    const source = { ...sourceAt({}), host: inside };
    const stored = await bench.backUp(source);
    expect(failed(await drill(source, stored))).toEqual([]);
    await podman.command('exec', name, 'redis-cli', 'FLUSHALL');
    await restore(source, stored, { host: inside });
    expect(await podman.command('exec', name, 'redis-cli', 'LLEN', 'list')).toBe('6');
  } finally {
    await inside.close();
    await podman.command('rm', '--force', '--time', '0', name);
  }
});
