/** MongoDB under faults of every kind, with a stand-in for its server; FAULTS says how many. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unattended } from '../../src/drivers/conformance/context.ts';
import { mongodb } from '../../src/drivers/mongodb/index.ts';
import { settings } from '../../src/drivers/mongodb/settings.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import { seedMongo } from '../servers/mongo-data.ts';
import { MongoStandIn } from '../servers/mongo-stand-in.ts';
import { mongodStandIn } from '../servers/mongod.ts';
import { startTcpProxy } from '../servers/tcp-proxy.ts';
import { fileSecret, tools } from '../support/ssh-hosts.ts';
import type { FaultPlace } from './fault-place.ts';
import { describeFaults, type Victim } from './fault-trial.ts';

for (const consistency of ['snapshot', 'oplog'] as const) {
  describeFaults({
    title: `MongoDB (${consistency}), a stand-in for it`,
    driver: mongodb,
    open: (place) => openVictim(place, consistency),
  });
}

async function openVictim(place: FaultPlace, consistency: 'snapshot' | 'oplog'): Promise<Victim> {
  const program = mongodStandIn();
  const server = await MongoStandIn.start({ users: { holdfast: 'right-password' } });
  seedMongo(server);
  for (let i = 0; i < 200; i++) server.store.insert('shop.images', { _id: i, bytes: randomBytes(10_000) });
  server.batchDocuments = 10;
  const proxy = await startTcpProxy(server.port);
  const secret = join(place.folder, 'secret');
  writeFileSync(secret, 'right-password');
  const url = `mongodb://holdfast@127.0.0.1:${proxy.port}`;
  const given = { url, consistency, serverProgram: program.path };
  const host = localHost();
  return {
    source: async () =>
      unattended({
        ...{ name: 'trial', host, local: host, secret: tools().secret },
        settings: settings.parse({ ...given, password: fileSecret(secret) }),
      }),
    declared: { source: { ...given, password: { file: secret } } },
    faults: {
      'a server that is killed': { strike: () => server[Symbol.asyncDispose]() },
      'a connection that is cut': { strike: () => proxy.cut() },
      'a wrong password': { when: 'before', strike: () => writeFileSync(secret, 'wrong') },
    },
    leftovers: async () => [
      ...(server.cursors.size > 0 && server.connections > 0 ? [`${server.cursors.size} cursors`] : []),
      ...(server.connections > 0 ? [`${server.connections} connections`] : []),
    ],
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      program[Symbol.dispose]();
    },
  };
}
