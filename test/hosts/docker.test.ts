import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { hostCases } from '../../src/hosts/conformance/cases.ts';
import { docker } from '../../src/hosts/docker/index.ts';
import type { Host } from '../../src/hosts/host.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import { type Podman, startPodman } from '../servers/podman.ts';

/** What an image without GNU's programs cannot do. */
const busyboxSkips: Readonly<Record<string, string>> = {
  'small-file': 'busybox sets times to the second only, and the host says so as a problem',
};

let podman: Podman;
const hosts = new Map<string, Host>();

async function openHost(container: string): Promise<Host> {
  return await docker.open(
    container,
    { docker: container, socket: podman.socketPath },
    {
      clock: systemClock,
      secret: async () => {
        throw new Error('no secret is needed');
      },
      local: localHost(),
      through: async () => localHost(),
      signal: new AbortController().signal,
    },
  );
}

beforeAll(async () => {
  podman = await startPodman({ hostPrograms: true });
  const images = { debian: await podman.importHostImage(), busybox: await podman.importBusyboxImage() };
  for (const [name, image] of Object.entries(images)) {
    await podman.command('run', '--detach', '--name', name, '--network', 'none', image, 'sleep', '100000');
    hosts.set(name, await openHost(name));
  }
}, 120_000);

afterAll(async () => {
  for (const host of hosts.values()) await host.close();
  await podman[Symbol.asyncDispose]();
});

describe.each(['debian', 'busybox'])('%s', (name) => {
  const cases = hostCases.filter((one) => !(name === 'busybox' && busyboxSkips[one.id]));
  test.each(cases)('$why', async ({ run }) => {
    const host = hosts.get(name)!;
    const directory = (await podman.command('exec', name, 'mktemp', '-d')).trim();
    await expect(run({ host, directory })).resolves.toBeUndefined();
  });
});
