/** Servers on other hosts: over SSH, in a container, and the throwaway of a drill in a container. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { Bench } from '../../src/drivers/check.ts';
import { postgres } from '../../src/drivers/postgres/index.ts';
import { docker, openContainerEngine } from '../../src/hosts/docker/index.ts';
import type { ContainerEngine, Host } from '../../src/hosts/host.ts';
import { sshHost } from '../../src/hosts/ssh/index.ts';
import { openDriverBench } from '../../src/operations/sources/driver-bench.ts';
import { storageKinds } from '../../src/storage/registry.ts';
import { type Podman, startPodman } from '../servers/podman.ts';
import { type PostgresServer, startPostgres } from '../servers/postgres.ts';
import { seedPostgres } from '../servers/postgres-data.ts';
import { startSshd } from '../servers/sshd.ts';
import { settingsOf, tools } from '../support/ssh-hosts.ts';
import {
  compare,
  failedOf,
  host,
  restoreTo,
  type Source,
  secret,
  sessions,
  sourceOf,
  withCopy,
} from './postgres-proof.ts';

let server: PostgresServer;
let bench: Bench & AsyncDisposable;
beforeAll(async () => {
  server = await startPostgres({ password: secret });
  await seedPostgres(server, 'bank');
  bench = await openDriverBench({ driver: postgres, storageKinds, clock: systemClock });
});
afterAll(async () => {
  await bench?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

/** Backed up, proven, restored beside under another name, which is proven to be the same by a second backup and drill. */
async function wholeWay(source: Source, name: string): Promise<void> {
  const stored = await bench.backUp(source);
  await withCopy(bench, source, stored, async (copy) => expect(failedOf(await compare(stored, copy))).toEqual([]));
  await restoreTo(source, stored, { target: name });
  const url = source.settings.url.replace(/[^/]*$/, name);
  const restored: Source = { ...source, settings: { ...source.settings, url } };
  const again = await bench.backUp(restored);
  await withCopy(bench, restored, again, async (copy) => {
    expect(failedOf(await compare(again, copy))).toEqual([]);
    expect(await copy.query!('SELECT count(*) FROM public.account')).toBe('200');
  });
}

for (const client of ['host', 'local'] as const) {
  test(`over SSH, with pg_dump ${client === 'host' ? 'there' : 'here'}`, async () => {
    await using sshd = await startSshd();
    const far = await sshHost.open('far', sshHost.settings.parse(settingsOf(sshd)), tools());
    const seen: string[] = [];
    try {
      const report = () => void seen.push(...commandLines());
      const source = await sourceOf(server, 'bank', { client }, { host: far, report });
      await wholeWay(source, `over_ssh_${client}`);
    } finally {
      await far.close();
    }
    expect(seen.length).toBeGreaterThan(0);
    expect(seen.filter((line) => line.includes('geheim'))).toEqual([]);
    expect(await sessions(server)).toEqual([]);
  });
}

test('in containers: as the source, where nothing of it is published, and as the throwaway of a drill', async () => {
  await using podman = await startPodman({ hostPrograms: true });
  const image = await podman.importHostImage();
  const engine = await openContainerEngine(podman.socketPath);
  if (!engine) throw new Error('podman does not answer');
  const inside = await serverIn(podman, image);
  try {
    const stored = await bench.backUp(await sourceOf(server, 'bank'));
    const plain = await sourceOf(server, 'bank', { image });
    await proveInside(plain, stored, engine, image);
    const url = 'postgres://postgres@127.0.0.1:5432/bank';
    const there = await sourceOf(server, 'bank', { url, password: undefined }, { host: inside });
    await restoreTo(there, stored, { target: 'bank' });
    await wholeWay(there, 'copy');
    expect((await podman.command('ps', '--all', '--format', '{{.Names}}')).split('\n')).toEqual(['source']);
  } finally {
    await engine.close();
    await inside.close();
  }
});

async function proveInside(
  source: Source,
  stored: Awaited<ReturnType<Bench['backUp']>>,
  containers: ContainerEngine,
  image: string,
): Promise<void> {
  await using opened = await stored.open();
  const throwaway = { directory: await bench.directory(), host, containers };
  await using copy = await postgres.restoreThrowaway(source, opened.contents, throwaway);
  expect(copy.instance).toContain(image);
  expect(failedOf(await compare(stored, copy))).toEqual([]);
}

/** A server without a network; the host that is the container. */
async function serverIn(podman: Podman, image: string): Promise<Host> {
  const user = 'setpriv --reuid postgres --regid postgres --clear-groups';
  const bin = '/usr/lib/postgresql/15/bin';
  const start = `mkdir -m 700 /srv/data; chown postgres:postgres /srv/data; cd /srv/data; ${user} ${bin}/initdb -D /srv/data -A trust -N -E UTF8 --locale=C >/dev/null
    exec ${user} ${bin}/postgres -D /srv/data -c listen_addresses=127.0.0.1 -c unix_socket_directories=/tmp -c fsync=off`;
  await podman.command('run', '--detach', '--name', 'source', '--network', 'none', image, 'sh', '-c', start);
  for (let attempt = 0; ; attempt++) {
    const ready = await podman.command('exec', 'source', `${bin}/pg_isready`, '-h', '/tmp').catch(() => undefined);
    if (ready !== undefined) break;
    if (attempt > 200) throw new Error(await podman.command('logs', 'source'));
    await setTimeout(100);
  }
  return await docker.open(
    'source',
    { docker: 'source', socket: podman.socketPath },
    {
      clock: systemClock,
      secret: () => Promise.reject(new Error('no secret is needed')),
      local: host,
      through: () => Promise.resolve(host),
      signal: new AbortController().signal,
    },
  );
}

function commandLines(): string[] {
  return readdirSync('/proc').flatMap((name) => {
    try {
      return /^\d+$/.test(name) ? [readFileSync(`/proc/${name}/cmdline`, 'utf8')] : [];
    } catch {
      return [];
    }
  });
}
