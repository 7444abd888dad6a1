/** A drill in a throwaway container: the server's program is in the image, none is needed on this machine. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { redis } from '../../src/drivers/redis/index.ts';
import { openContainerEngine } from '../../src/hosts/docker/index.ts';
import type { ContainerEngine } from '../../src/hosts/host.ts';
import { type Podman, startPodman } from '../servers/podman.ts';
import { startRedis } from '../servers/redis.ts';
import { seedRedis } from '../servers/redis-data.ts';
import { bench, failed, fingerprintOf, host, installed, sourceAt, useBench } from './redis-trial.ts';

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
