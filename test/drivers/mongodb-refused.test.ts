import { afterAll, beforeAll, expect, it } from 'vitest';
import { mongodb } from '../../src/drivers/mongodb/index.ts';
import { seedMongo } from '../servers/mongo-data.ts';
import { type Fault, MongoStandIn } from '../servers/mongo-stand-in.ts';
import { mongodStandIn } from '../servers/mongod.ts';
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

it('what is asked for and not there is an error, never an empty backup', async () => {
  await using server = await seeded();
  const attempt = async (given: object): Promise<unknown> => {
    const source = sourceAt({ url: server.url, ...given });
    const [found] = await mongodb.probe(source);
    const failed: unknown = await mongodb.capture(source).catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: 'source.missing', message: found.message });
    return found.message;
  };
  expect(await attempt({ databases: ['wikki'] })).toContain('has no database wikki');
  expect(await attempt({ databases: ['bank', 'wikki'] })).toContain('has no database wikki');
  expect(await attempt({ databases: ['local'] })).toContain('the server’s own');
  expect(await attempt({ databases: ['wiki_*'] })).toContain('no collection that fits wiki_*');
  expect(await attempt({ databases: ['bank'], excludeCollections: ['bank.*'] })).toContain('no collection');
  expect(await attempt({ exclude: ['*'] })).toContain('no collection that is not left out');
});

it('who may not list all databases is not shown a part of them as if it were all', async () => {
  await using server = await seeded({ visible: ['bank'] });
  for (const databases of ['all', ['ba*']]) {
    const refused = mongodb.capture(sourceAt({ url: server.url, databases }));
    await expect(refused).rejects.toMatchObject({
      code: 'source.unreadable',
      message: expect.stringMatching('left out unseen'),
    });
  }
  await using capture = await mongodb.capture(sourceAt({ url: server.url, databases: ['bank'] }));
  expect(capture.paths).toHaveLength(1);
});

it('a server with nothing in it is backed up with a warning, and its drill proves nothing', async () => {
  using program = mongodStandIn();
  await using server = await MongoStandIn.start();
  const warnings: string[] = [];
  const source = sourceAt(
    { url: server.url, serverProgram: program.path },
    { report: (event) => void (event.type === 'warning' && warnings.push(event.message)) },
  );
  await using stored = await (await bench.bench.backUp(source)).open();
  expect(warnings).toEqual([expect.stringContaining('holds no collections')]);
  expect((await mongodb.probe(source)).map(({ level }) => level)).toContain('warning');
  const directory = await bench.bench.directory();
  await using copy = await mongodb.restoreThrowaway(source, stored.contents, { directory, host });
  await expect(copy.compare(undefined)).rejects.toMatchObject({
    code: 'drill.failed',
    message: expect.stringMatching('nothing to prove'),
  });
});

it('what was made without an answer is dropped, unless it is of others', async () => {
  await using server = await seeded();
  const source = sourceAt({ url: server.url, databases: ['bank'] });
  await using stored = await (await bench.bench.backUp(source)).open();
  server.store.drop('bank.view');
  server.store.create('bank.view', { viewOn: 'right', pipeline: [] });

  /** `act` instead of the first making of `what`: in time, and without an answer, or just before it. */
  const restoredWhen = async (what: string, act: (ns: string) => 'cut' | undefined): Promise<unknown> => {
    let isDone = false;
    server.fault = (name, { create }) => {
      if (isDone || name !== 'create' || !String(create).startsWith(what)) return undefined;
      isDone = true;
      return act(`bank.${String(create)}`);
    };
    const refused = await mongodb.restore(source, stored.contents, { ...request, overwrite: true }).catch(String);
    expect(isDone).toBe(true);
    return refused;
  };
  const made = (options?: object) => (ns: string) => {
    server.store.create(ns, options);
    return 'cut' as const;
  };

  const asBefore = expect.stringContaining('the collections are as they were before');
  const before = states(server);
  expect(await restoredWhen('left', made())).toEqual(asBefore);
  expect(states(server)).toEqual(before);

  server.store.drop('bank.left');
  const without = states(server);
  expect(await restoredWhen('left', made())).toEqual(asBefore);
  expect(states(server)).toEqual(without);

  const theirs = (reply: 'cut' | undefined) => (ns: string) => {
    server.store.insert(ns, { _id: 'theirs' });
    return reply;
  };
  for (const reply of ['cut', undefined] as const) {
    expect(await restoredWhen('left', theirs(reply))).toEqual(asBefore);
    expect(server.store.documents('bank.left')).toHaveLength(1);
    server.store.drop('bank.left');
  }

  await restoredWhen('view', made({ viewOn: 'left', pipeline: [] }));
  expect(server.store.find('bank.view')?.options).toMatchObject({ viewOn: 'right' });
});

it('what a killed restore left of the users is in no backup, and does not stand in the way of the next restore', async () => {
  await using server = await seeded();
  const source = sourceAt({ url: server.url });
  server.store.insert('admin.holdfast_users', { _id: 'bank.clerk', user: 'clerk', db: 'bank', roles: [] });
  await using stored = await (await bench.bench.backUp(source)).open();
  await mongodb.restore(source, stored.contents, { ...request, overwrite: true });
  expect(server.store.find('admin.holdfast_users')).toBeUndefined();
  await using other = await MongoStandIn.start();
  const target = sourceAt({ url: other.url });
  await mongodb.restore(target, stored.contents, { ...request, overwrite: true });
  expect([...other.store.collections.keys()].filter((ns) => ns.startsWith('admin.'))).toEqual(['admin.system.users']);
});
