import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { Secret } from '../../src/base/secrets.ts';
import { unattended } from '../../src/drivers/conformance/context.ts';
import type { SourceContext } from '../../src/drivers/driver.ts';
import { mongodb } from '../../src/drivers/mongodb/index.ts';
import { settings } from '../../src/drivers/mongodb/settings.ts';
import { localHost } from '../../src/hosts/local/index.ts';
import { seedMongo, startTransfers } from '../servers/mongo-data.ts';
import { MongoStandIn } from '../servers/mongo-stand-in.ts';
import { mongodStandIn } from '../servers/mongod.ts';
import { type DriverTrial, describeDriver } from './trial.ts';

const host = localHost();
// A folder for temporary files of our own: others leave theirs in the usual one meanwhile.
const folder = mkdtempSync(join(tmpdir(), 'mongo-trial-'));
process.env.TMPDIR = folder;
afterAll(() => rmSync(folder, { recursive: true, force: true }));

for (const consistency of ['snapshot', 'oplog'] as const) {
  describeDriver(`the mongodb driver (${consistency}) with a stand-in for mongod`, () => openTrial(consistency));
}

async function openTrial(consistency: 'snapshot' | 'oplog'): Promise<DriverTrial> {
  const program = mongodStandIn();
  const server = await MongoStandIn.start({ users: { holdfast: 'correct' } });
  const other = await MongoStandIn.start();
  const closed = await MongoStandIn.start();
  await closed[Symbol.asyncDispose]();
  seedMongo(server);
  server.store.create('bank.journal');
  const before = new Set(readdirSync(folder));
  const url = server.url.replace('//', '//holdfast@');
  const clear = (text: string) => ({ from: 'clear' as const, secret: new Secret(text) });
  const sourceAt = (given: object): SourceContext<unknown> =>
    unattended({
      name: 'trial',
      settings: settings.parse({ consistency, serverProgram: program.path, ...given }),
      host,
      local: host,
    });
  return {
    driver: mongodb,
    server: 'stand-in for MongoDB 7.0',
    source: sourceAt({ url, password: clear('correct') }),
    trial: {
      async disturb() {
        // What earlier writers left would make each run longer than the one before.
        server.store.drop('bank.journal');
        server.store.create('bank.journal');
        return startTransfers(server);
      },
      async damage(copy) {
        const updates = [{ q: { _id: Math.floor(Math.random() * 250) }, u: { $set: { note: 'another note' } } }];
        await copy.query!(JSON.stringify({ update: 'orders', updates, $db: 'shop' }));
      },
      refused: [sourceAt({ url, password: clear('wrong') }), sourceAt({ url: server.url })],
      elsewhere: async () => ({ target: other.url, source: sourceAt({ url: other.url }) }),
      async leftovers() {
        const files = readdirSync(folder).filter((name) => !before.has(name) && !name.startsWith('holdfast-check-'));
        return [
          ...(server.cursors.size > 0 ? [`${server.cursors.size} cursors`] : []),
          ...(server.connections > 0 ? [`${server.connections} connections`] : []),
          ...files,
        ];
      },
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await other[Symbol.asyncDispose]();
      program[Symbol.dispose]();
    },
  };
}
