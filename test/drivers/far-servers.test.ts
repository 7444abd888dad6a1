/** Servers and commands of other machines: backed up, proven and restored through a real sshd, and through the API of a container engine. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { command } from '../../src/drivers/command/index.ts';
import { fingerprintIn, withCopy } from '../../src/drivers/conformance/case.ts';
import { unattended } from '../../src/drivers/conformance/context.ts';
import type { AnyDriver } from '../../src/drivers/driver.ts';
import { mongodb } from '../../src/drivers/mongodb/index.ts';
import { redis } from '../../src/drivers/redis/index.ts';
import { docker } from '../../src/hosts/docker/index.ts';
import type { Host } from '../../src/hosts/host.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import { sshHost } from '../../src/hosts/ssh/index.ts';
import { openDriverBench } from '../../src/operations/sources/driver-bench.ts';
import { storageKinds } from '../../src/storage/registry.ts';
import { seedMongo } from '../servers/mongo-data.ts';
import { MongoStandIn } from '../servers/mongo-stand-in.ts';
import { mongodStandIn } from '../servers/mongod.ts';
import { type Podman, startPodman } from '../servers/podman.ts';
import { redisProgram, startRedis } from '../servers/redis.ts';
import { seedRedis } from '../servers/redis-data.ts';
import { type Sshd, startSshd } from '../servers/sshd.ts';
import { settingsOf, tools } from '../support/ssh-hosts.ts';

const local = localHost();
const hosts = new Map<string, Host>();
const installed = await redisProgram('installed');
let sshd: Sshd;
let podman: Podman;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-far-'));
  sshd = await startSshd();
  hosts.set('SSH', await sshHost.open('far', settingsOf(sshd), tools()));
  podman = await startPodman({ hostPrograms: true });
  // Without a network: what listens there is reached through the engine alone.
  const options = ['--detach', '--name', 'box', '--network', 'none', '--volume', '/tmp:/tmp'];
  await podman.command('run', ...options, await podman.importHostImage(), 'sleep', '100000');
  hosts.set('a container', await docker.open('box', { docker: 'box', socket: podman.socketPath }, tools()));
}, 120_000);

afterAll(async () => {
  for (const host of hosts.values()) await host.close();
  for (const server of [sshd, podman]) await server?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

interface Far {
  readonly driver: AnyDriver;
  readonly settings: object;
  /** Changes what is there. */
  ruin(): Promise<void> | void;
  /** What is there now; the same before and after. */
  read(): Promise<unknown> | unknown;
}

/** Backs up, drills, lets the source be ruined, and restores it in place. */
async function saveAndRestore(host: Host, { driver, settings, ruin, read }: Far): Promise<void> {
  const source = unattended({ name: 'far', settings: driver.settings.parse(settings) as unknown, host, local });
  await using bench = await openDriverBench({ driver, storageKinds, clock: systemClock });
  await using opened = await (await bench.backUp(source)).open();
  const fingerprint = await fingerprintIn(opened.contents, '/.holdfast/fingerprint.json');
  const checks = await withCopy({ driver, source, bench }, opened.contents, (copy) => copy.compare(fingerprint));
  expect(checks.length).toBeGreaterThan(0);
  expect(checks.filter(({ ok }) => !ok)).toEqual([]);
  const before = await read();
  await ruin();
  expect(await read()).not.toEqual(before);
  const { problems } = await driver.restore(source, opened.contents, { host, dryRun: false, overwrite: true });
  expect(problems).toEqual([]);
  expect(await read()).toEqual(before);
}

describe.each(['SSH', 'a container'])('through %s', (name) => {
  test.runIf(installed)('a Redis server comes back as it was', async () => {
    await using server = await startRedis();
    await seedRedis(server);
    const client = await server.client();
    await saveAndRestore(hosts.get(name)!, {
      driver: redis,
      settings: { socket: server.socketPath },
      ruin: async () => void (await client.run('FLUSHALL')),
      read: async () => await client.run('HGETALL', 'hash:small'),
    });
  });

  test('a MongoDB server (a stand-in) comes back as it was', async () => {
    using program = mongodStandIn();
    const socket = join(folder, `mongo-${randomBytes(3).toString('hex')}.sock`);
    await using server = await MongoStandIn.start({ socketPath: socket });
    seedMongo(server);
    await saveAndRestore(hosts.get(name)!, {
      driver: mongodb,
      settings: { socket, databases: ['bank'], serverProgram: program.path },
      ruin: () => server.store.write([server.store.setting('bank.left', 0, { balance: -1 })]),
      read: () => server.store.values('bank.left').map(({ balance }) => balance),
    });
  });

  test('what a command printed is given back to its counterpart', async () => {
    const state = join(folder, 'state');
    writeFileSync(state, randomBytes(1 << 20));
    await saveAndRestore(hosts.get(name)!, {
      driver: command,
      settings: { command: ['cat', state], restore: ['tee', state] },
      ruin: () => writeFileSync(state, 'lost'),
      read: () => readFileSync(state, 'base64'),
    });
  });
});
