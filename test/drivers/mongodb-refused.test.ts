import { afterAll, beforeAll, expect, it } from 'vitest';
import { mongodb } from '../../src/drivers/mongodb/index.ts';
import { seedMongo } from '../servers/mongo-data.ts';
import { type Fault, MongoStandIn } from '../servers/mongo-stand-in.ts';
import { host, type MongoBench, openBench, sourceAt } from './mongodb-bench.ts';

let bench: MongoBench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench[Symbol.asyncDispose]());

async function seeded(options: Parameters<typeof MongoStandIn.start>[0] = {}): Promise<MongoStandIn> {
  const server = await MongoStandIn.start(options);
  seedMongo(server);
  server.store.create('bank.view', { viewOn: 'left', pipeline: [] });
  return server;
}

const steppedDown: Fault = { code: 189, codeName: 'PrimarySteppedDown', errmsg: 'stepped down' };
const request = { host, dryRun: false };

function states({ store }: MongoStandIn): Map<string, string> {
  return new Map([...store.collections].map(([ns, { uuid, kind }]) => [ns, kind === 'view' ? kind : String(uuid)]));
}

for (const overwrite of [true, false]) {
  const how = overwrite ? 'with' : 'without';
  it(`a restore whose renames are refused leaves everything under its name, ${how} overwriting`, async () => {
    await using server = await seeded();
    const source = sourceAt({ url: server.url, databases: ['bank'] });
    await using stored = await (await bench.bench.backUp(source)).open();
    server.store.write([server.store.setting('bank.right', 0, { balance: 2 })]);
    const before = states(server);
    let renames = 0;
    server.fault = (name, { renameCollection }) => {
      const isSwap = name === 'renameCollection' && /_restoring_/.test(String(renameCollection));
      return isSwap && ++renames === (overwrite ? 1 : 2) ? steppedDown : undefined;
    };
    const refused: unknown = await mongodb
      .restore(source, stored.contents, { ...request, overwrite })
      .catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'source.changed' });
    expect((refused as Error).message).toContain('the collections are as they were before');
    expect(states(server)).toEqual(before);
    expect(server.store.value('bank.right', 0)?.balance).toBe(2);
  });
}

it('a restore whose last step is refused puts views back, too', async () => {
  await using server = await seeded();
  const source = sourceAt({ url: server.url, databases: ['bank'] });
  await using stored = await (await bench.bench.backUp(source)).open();
  const before = states(server);
  let isRefused = false;
  server.fault = (name, command) => {
    if (isRefused || name !== 'create' || command.create !== 'view') return undefined;
    isRefused = true;
    return steppedDown;
  };
  const restored = mongodb.restore(source, stored.contents, { ...request, overwrite: false });
  await expect(restored).rejects.toThrow('the collections are as they were before');
  expect(states(server)).toEqual(before);
});

it('what an overwriting restore has replaced already stays, and the error names it', async () => {
  await using server = await seeded();
  const source = sourceAt({ url: server.url, databases: ['bank'] });
  await using stored = await (await bench.bench.backUp(source)).open();
  server.store.write([server.store.setting('bank.right', 0, { balance: 2 })]);
  server.fault = (name, { renameCollection }) =>
    name === 'renameCollection' && /bank\.right_restoring/.test(String(renameCollection)) ? steppedDown : undefined;
  const restored = mongodb.restore(source, stored.contents, { ...request, overwrite: true });
  await expect(restored).rejects.toThrow(/; bank\.left is the restored one already$/);
  expect(server.store.value('bank.right', 0)?.balance).toBe(2);
  expect([...server.store.collections.keys()].filter((ns) => /_before_|_restoring_/.test(ns))).toEqual([]);
});

it('a restore that can be neither ended nor undone says what has which name', async () => {
  await using server = await seeded();
  const source = sourceAt({ url: server.url, databases: ['bank'] });
  await using stored = await (await bench.bench.backUp(source)).open();
  server.fault = (name, { to }) =>
    name === 'renameCollection' && !/_before_/.test(String(to))
      ? { code: 13, codeName: 'Unauthorized', errmsg: 'no' }
      : undefined;
  const restored = mongodb.restore(source, stored.contents, { ...request, overwrite: false });
  await expect(restored).rejects.toThrow(
    /could not be undone .*bank\.left_restoring_\S+ is of the restore, what was bank\.left has that name or is bank\.left_before_/,
  );
});
