import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { ObjectId, serialize, Timestamp } from 'bson';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HoldfastError } from '../../src/base/errors.ts';
import { capture, dumpPath } from '../../src/drivers/mongodb/backup.ts';
import { mongodb } from '../../src/drivers/mongodb/index.ts';
import {
  accounts,
  balance,
  everyKind,
  seedMongo,
  startTransfers,
  totalMoney,
  transferOnce,
} from '../servers/mongo-data.ts';
import { MongoStandIn } from '../servers/mongo-stand-in.ts';
import { mongodStandIn } from '../servers/mongod.ts';
import { clear, host, type MongoBench, openBench, sourceAt } from './mongodb-bench.ts';

/** More for a longer proof: EXACT_RUNS=50. */
const runs = Number(process.env.EXACT_RUNS ?? 2);
const money = 2 * accounts * balance;

let bench: MongoBench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench[Symbol.asyncDispose]());

async function seeded(options: Parameters<typeof MongoStandIn.start>[0] = {}): Promise<MongoStandIn> {
  const server = await MongoStandIn.start(options);
  seedMongo(server);
  server.store.create('bank.journal');
  return server;
}

/** With each of the first answers about documents: the journal must not grow as fast as it is read. */
function movingMoney(server: MongoStandIn): (name: string) => void {
  let left = 100;
  return (name) => {
    if ((name === 'find' || name === 'getMore') && left > 0) transferOnce(server, left--);
  };
}

describe.each(['snapshot', 'oplog'] as const)('a backup with «consistency: %s»', (consistency) => {
  it(`restores to one instant while others write, ${runs} of ${runs} times`, async () => {
    for (let run = 0; run < runs; run++) {
      // Another server each time: a stand-in keeps every state it ever had.
      await using server = await seeded();
      server.batchDocuments = 20;
      // Between answers money moves, so that collections read one after another disagree.
      server.after = movingMoney(server);
      await using writers = startTransfers(server);
      await using other = await MongoStandIn.start();
      await bench.restore(sourceAt({ url: server.url, consistency }), { target: other.url });
      await writers[Symbol.asyncDispose]();
      expect(totalMoney(other)).toBe(money);
      const moved = other.store.values('bank.left').reduce((sum, one) => sum + balance - Number(one.balance), 0);
      expect(other.store.values('bank.journal')).toHaveLength(moved);
    }
  });
});

it('collections of a standalone server disagree, and the snapshot says so', async () => {
  await using server = await seeded({ standalone: true });
  server.batchDocuments = 20;
  server.after = movingMoney(server);
  await using other = await MongoStandIn.start();
  await bench.restore(sourceAt({ url: server.url }), { target: other.url });
  expect(totalMoney(other)).not.toBe(money);
  await using capturing = await capture(sourceAt({ url: server.url }));
  expect(capturing.notes()[0]).toContain('not all of one instant');
  expect((await mongodb.probe(sourceAt({ url: server.url }))).map(({ level }) => level)).toContain('warning');
});

it('restored documents, options and indexes are the very bytes: every type, names like numbers, in order', async () => {
  await using server = await seeded();
  await using other = await MongoStandIn.start();
  await bench.restore(sourceAt({ url: server.url }), { target: other.url });
  for (const [ns, { options, indexes, kind }] of server.store.collections) {
    if (ns === 'admin.system.version') continue;
    const restored = other.store.mustFind(ns);
    expect(restored.kind, ns).toBe(kind);
    expect(Buffer.from(serialize(restored.options)), ns).toEqual(Buffer.from(serialize(options)));
    expect(Buffer.from(serialize({ indexes: restored.indexes })), ns).toEqual(Buffer.from(serialize({ indexes })));
    expect(other.store.documents(ns), ns).toEqual(server.store.documents(ns));
  }
  expect(other.store.documents('shop.kinds')).toHaveLength(everyKind.length);
});

it('the archive is what another implementation reads: python-bson, by the specification', async () => {
  await using server = await seeded();
  await using stored = await (await bench.bench.backUp(sourceAt({ url: server.url, consistency: 'oplog' }))).open();
  const parts: Buffer[] = [];
  for await (const part of stored.contents.read(dumpPath)) parts.push(Buffer.from(part));
  const script = new URL('../servers/read-archive.py', import.meta.url).pathname;
  const output = execFileSync('/usr/bin/python3', [script], {
    input: Buffer.concat(parts),
    encoding: 'utf8',
    maxBuffer: 1 << 24,
  });
  const found = JSON.parse(output) as {
    metadata: Record<string, unknown[]>;
    documents: Record<string, string[]>;
    ended: string[];
  };
  expect(Object.keys(found.metadata)).toContain('.oplog');
  expect(found.documents['shop.orders']).toHaveLength(250);
  expect(found.documents['shop.kinds']).toHaveLength(everyKind.length);
  expect(found.ended).toContain('shop.empty');
  expect(found.metadata['shop.weather'][0]).toBe('timeseries');
  expect(found.documents['shop.system.buckets.weather']).toHaveLength(1);
  expect(JSON.stringify(found.metadata['shop.orders'])).toContain('total_1_note_-1');
});

describe('what goes wrong during a backup leaves no snapshot, and says what to do', () => {
  const refused = (code: number, codeName: string) => ({ code, codeName, errmsg: codeName });
  it.each([
    ['a connection that is cut', 'getMore', 'cut', 'host.unreachable'],
    ['a connection that is cut at the first question', 'find', 'cut', 'host.unreachable'],
    ['a cursor the server dropped', 'getMore', refused(43, 'CursorNotFound'), 'source.changed'],
    ['a state the server no longer keeps', 'getMore', refused(239, 'SnapshotTooOld'), 'source.changed'],
    ['a stepdown', 'getMore', refused(189, 'PrimarySteppedDown'), 'source.changed'],
    ['a rollback', 'getMore', refused(11602, 'InterruptedDueToReplStateChange'), 'source.changed'],
    ['a right that is missing', 'listIndexes', refused(13, 'Unauthorized'), 'source.unreadable'],
  ] as const)('%s', async (_, command, fault, code) => {
    await using server = await seeded();
    const before = await bench.bench.countSnapshots();
    server.fault = (name) => (name === command ? fault : undefined);
    const error = await bench.bench.backUp(sourceAt({ url: server.url })).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(HoldfastError);
    expect(error).toMatchObject({ code });
    expect((error as HoldfastError).remedy.length).toBeGreaterThan(20);
    expect(await bench.bench.countSnapshots()).toBe(before);
  });

  it.each([
    ['dropped', (server: MongoStandIn) => server.store.drop('shop.kinds')],
    ['renamed', (server: MongoStandIn) => server.store.rename('shop.kinds', 'shop.sorts')],
    [
      'dropped and made anew',
      (server: MongoStandIn) => {
        server.store.drop('shop.kinds');
        server.store.create('shop.kinds');
      },
    ],
  ])('a collection that is %s', async (_, change) => {
    for (const consistency of ['snapshot', 'oplog']) {
      await using server = await seeded();
      const before = await bench.bench.countSnapshots();
      let isDone = false;
      server.after = (name) => {
        if (name !== 'find' || isDone) return;
        isDone = true;
        change(server);
      };
      await expect(bench.bench.backUp(sourceAt({ url: server.url, consistency }))).rejects.toMatchObject({
        code: 'source.changed',
      });
      expect(isDone).toBe(true);
      expect(await bench.bench.countSnapshots()).toBe(before);
    }
  });

  it('an oplog that was overwritten meanwhile', async () => {
    await using server = await seeded();
    server.after = (name) => {
      if (name !== 'getMore') return;
      for (let i = 0; i < 20; i++) transferOnce(server, i);
      server.store.shortenOplog(5);
    };
    await expect(bench.bench.backUp(sourceAt({ url: server.url, consistency: 'oplog' }))).rejects.toThrow('too short');
  });

  it('collections that come and go while the catalogue is read', async () => {
    await using server = await seeded();
    let count = 0;
    server.after = (name) => void (name === 'listDatabases' && server.store.create(`shop.tmp${count++}`));
    const clock = { nowMs: () => Date.now(), monotonicMs: () => performance.now(), sleep: async () => {} };
    const source = sourceAt({ url: server.url }, { clock });
    await expect(bench.bench.backUp(source)).rejects.toMatchObject({ code: 'source.busy' });
    await bench.bench.backUp(sourceAt({ url: server.url, excludeCollections: ['shop.tmp*'] }));
  });

  it('a wrong password, which is in no error', async () => {
    await using server = await seeded({ users: { holdfast: 'correct' } });
    const url = server.url.replace('//', '//holdfast@');
    const error = (await bench.bench
      .backUp(sourceAt({ url, password: clear('xyzzy-wrong') }))
      .catch((e: unknown) => e)) as HoldfastError;
    expect(error).toMatchObject({ code: 'source.unreadable' });
    expect(`${error.message} ${error.remedy} ${error.stack} ${String(error.cause)}`).not.toContain('xyzzy');
    expect((await mongodb.probe(sourceAt({ url, password: clear('xyzzy-wrong') })))[0].level).toBe('error');
  });
});

describe('which member is read', () => {
  it('follows the replica set to the one that fits', async () => {
    await using server = await seeded();
    server.isPrimary = false;
    await bench.bench.backUp(sourceAt({ url: server.url }));
    await expect(bench.bench.backUp(sourceAt({ url: server.url, readPreference: 'primary' }))).rejects.toMatchObject({
      code: 'host.unreachable',
    });
    await expect(bench.bench.backUp(sourceAt({ url: `${server.url}/?replicaSet=other` }))).rejects.toThrow(
      'of the replica set rs0',
    );
    await using closed = await MongoStandIn.start();
    await closed[Symbol.asyncDispose]();
    await bench.bench.backUp(sourceAt({ url: `mongodb://127.0.0.1:${closed.port || 1},${server.url.slice(10)}` }));
  }, 60_000);

  it('is reached through the host, by a socket nobody else can use', async () => {
    await using server = await seeded();
    const addresses: unknown[] = [];
    const far = {
      ...host,
      kind: 'ssh',
      name: 'far',
      connect: (...args: Parameters<typeof host.connect>) => {
        addresses.push(args[0]);
        return host.connect(...args);
      },
    };
    const source = sourceAt({ url: server.url }, { host: far });
    await bench.bench.backUp(source);
    expect(addresses.length).toBeGreaterThan(1);
    expect(
      readdirSync(bench.folder).filter((name) => !name.startsWith('holdfast-check') && !name.includes('mongo')),
    ).toEqual([]);
  });
});

describe('a restore', () => {
  it('keeps what is there aside, and says so before', async () => {
    await using server = await seeded();
    const source = sourceAt({ url: server.url, databases: ['bank'] });
    const planned = await bench.restore(source, { dryRun: true });
    expect(planned.join('\n')).toMatch(/bank\.left .*becomes bank\.left_before_/);
    expect([...server.store.collections.keys()].filter((ns) => /before|restoring/.test(ns))).toEqual([]);
    server.store.write([server.store.setting('bank.left', 0, { balance: 1 })]);
    await using stored = await (await bench.bench.backUp(source)).open();
    server.store.write([server.store.setting('bank.left', 0, { balance: 2 })]);
    await mongodb.restore(source, stored.contents, { host, dryRun: false, overwrite: false });
    expect(server.store.value('bank.left', 0)?.balance).toBe(1);
    const aside = [...server.store.collections.keys()].find((ns) => ns.startsWith('bank.left_before_'))!;
    expect(server.store.value(aside, 0)?.balance).toBe(2);
    await mongodb.restore(source, stored.contents, { host, dryRun: false, overwrite: true });
    expect([...server.store.collections.keys()].filter((ns) => /before|restoring/.test(ns))).toHaveLength(3);
  });

  it('keeps empty timestamps, or says where the server does not', async () => {
    await using server = await seeded();
    server.store.create('bank.stamps');
    const empty = Timestamp.fromBits(0, 0);
    const raw = Buffer.from(serialize({ _id: empty, at: empty, within: { at: empty } }));
    server.store.write([{ op: 'i', ns: 'bank.stamps', raw }]);
    const source = sourceAt({ url: server.url, databases: ['bank'] });
    await using stored = await (await bench.bench.backUp(source)).open();
    for (const version of ['8.0.4', '4.4.29']) {
      await using other = await MongoStandIn.start({ version });
      const request = { host, dryRun: false, overwrite: false, target: other.url };
      const { problems } = await mongodb.restore(source, stored.contents, request);
      const [found] = other.store.values('bank.stamps');
      const isKept = version === '8.0.4';
      expect(found.at.equals(empty)).toBe(isKept);
      expect(found.within.at.equals(empty)).toBe(true);
      expect(problems).toEqual(isKept ? [] : [expect.stringContaining('1 document(s) of bank.stamps')]);
    }
  });

  it('over a time series is refused, as it cannot be kept aside, unless told to overwrite', async () => {
    await using server = await seeded();
    const source = sourceAt({ url: server.url, databases: ['shop'] });
    await using stored = await (await bench.bench.backUp(source)).open();
    const before = new Set(server.store.collections.keys());
    const request = { host, dryRun: false };
    await expect(mongodb.restore(source, stored.contents, { ...request, overwrite: false })).rejects.toMatchObject({
      code: 'restore.target-exists',
    });
    expect(new Set(server.store.collections.keys())).toEqual(before);
    await mongodb.restore(source, stored.contents, { ...request, overwrite: true });
    expect(new Set(server.store.collections.keys())).toEqual(before);
    expect(server.store.documents('shop.system.buckets.weather')).toHaveLength(1);
  });

  it('of one collection leaves all others alone', async () => {
    await using server = await seeded();
    await using other = await MongoStandIn.start();
    await bench.restore(sourceAt({ url: server.url }), { target: other.url, include: ['shop/orders'] });
    expect([...other.store.collections.keys()]).toEqual(['shop.orders']);
    await expect(
      bench.restore(sourceAt({ url: server.url }), { target: other.url, include: ['nothing'] }),
    ).rejects.toThrow('no collection');
  });

  it('that is refused half way is an error, and leaves what was there as it was', async () => {
    await using server = await seeded();
    await using other = await seeded();
    other.store.write([other.store.setting('bank.left', 0, { balance: 7 })]);
    const before = new Set(other.store.collections.keys());
    let inserts = 0;
    other.fault = (name) =>
      name === 'insert' && ++inserts === 3
        ? { code: 14031, codeName: 'OutOfDiskSpace', errmsg: 'disk full' }
        : undefined;
    await expect(
      bench.restore(sourceAt({ url: server.url, databases: ['bank', 'shop'], excludeCollections: ['*.weather'] }), {
        target: other.url,
      }),
    ).rejects.toThrow('disk full');
    expect(new Set(other.store.collections.keys())).toEqual(before);
    expect(other.store.value('bank.left', 0)?.balance).toBe(7);
  });

  it('of documents a server takes in part is an error', async () => {
    await using server = await seeded();
    await using other = await MongoStandIn.start();
    other.after = (name) => {
      const ns = [...other.store.collections.keys()].find((one) => one === 'shop.orders');
      if (name === 'create' && ns && !other.store.value(ns, 100)) other.store.insert(ns, { _id: 100 });
    };
    await expect(bench.restore(sourceAt({ url: server.url }), { target: other.url })).rejects.toThrow(
      /shop\.orders: E11000/,
    );
    await other[Symbol.asyncDispose]();
  });

  it('does not send the password of the source to another server', async () => {
    await using server = await seeded({ users: { holdfast: 'correct' } });
    await using other = await MongoStandIn.start();
    const url = server.url.replace('//', '//holdfast@');
    await bench.restore(sourceAt({ url, password: clear('correct'), databases: ['bank'] }), { target: other.url });
    expect(other.seen).not.toContain('saslStart');
  });

  it('into a directory gives the archive itself', async () => {
    await using server = await seeded();
    const steps = await bench.restore(sourceAt({ url: server.url }), { target: `${bench.folder}/out` });
    expect(steps.join('\n')).toContain('mongorestore --archive=dump.archive');
    expect(readdirSync(`${bench.folder}/out`)).toEqual(['dump.archive']);
  });
});

describe('a drill', () => {
  it('fails if one field of one document is another, or one is too many', async () => {
    using program = mongodStandIn();
    await using server = await seeded();
    const source = sourceAt({ url: server.url, serverProgram: program.path });
    await using stored = await (await bench.bench.backUp(source)).open();
    const directory = await bench.bench.directory();
    await using copy = await mongodb.restoreThrowaway(source, stored.contents, { directory, host });
    const failed = async (): Promise<string[]> =>
      (await copy.compare(fingerprint)).filter(({ ok }) => !ok).map(({ subject, measure }) => `${subject}: ${measure}`);
    const fingerprint = await fingerprintOf(stored.contents);
    expect(await failed()).toEqual([]);
    expect(await copy.query!('{"$db": "shop", "count": "orders"}')).toBe('250');
    await copy.query!(
      '{"$db": "shop", "update": "orders", "updates": [{"q": {"_id": 7}, "u": {"$set": {"total": 7}}}]}',
    );
    expect(await failed()).toEqual(['collection shop.orders: digest']);
    await copy.query!(`{"$db": "shop", "insert": "empty", "documents": [{"_id": "${String(new ObjectId())}"}]}`);
    await copy.query!('{"$db": "shop", "createIndexes": "kinds", "indexes": [{"key": {"x": 1}, "name": "x"}]}');
    expect(new Set(await failed())).toEqual(
      new Set([
        'collection shop.empty: digest',
        'collection shop.empty: documents',
        'collection shop.kinds: index x',
        'collection shop.orders: digest',
      ]),
    );
    expect(copy.environment.HOLDFAST_COPY_URL).toContain('directConnection=true');
    await expect(copy.query!('SELECT 1')).rejects.toMatchObject({ code: 'usage.invalid' });
  });

  it('without any mongod says what to install', async () => {
    await using server = await seeded();
    const source = sourceAt({ url: server.url });
    await using stored = await (await bench.bench.backUp(source)).open();
    const directory = await bench.bench.directory();
    const error = (await mongodb
      .restoreThrowaway(source, stored.contents, { directory, host })
      .catch((e: unknown) => e)) as HoldfastError;
    expect(error).toMatchObject({ code: 'host.command-missing' });
    expect(error.remedy).toContain('Install MongoDB 7.0 or newer');
  });
});

async function fingerprintOf(contents: Parameters<typeof mongodb.restoreThrowaway>[1]) {
  const parts: Buffer[] = [];
  for await (const part of contents.read('/.holdfast/fingerprint.json')) parts.push(Buffer.from(part));
  return JSON.parse(Buffer.concat(parts).toString('utf8'));
}
