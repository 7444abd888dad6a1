/** What a trial server holds: every kind of value, index, option, and a bank whose money is always all there. */
import {
  Binary,
  BSONRegExp,
  Code,
  Decimal128,
  type Document,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
} from 'bson';
import type { MongoStandIn } from './mongo-stand-in.ts';

export const accounts = 40;
export const balance = 100;

/** Databases `shop` and `bank`, and a user. */
export function seedMongo({ store }: MongoStandIn): void {
  for (let i = 0; i < 250; i++) store.insert('shop.orders', { _id: i, total: new Double(i), note: `order ${i}` });
  store.addIndex('shop.orders', { key: { total: 1, note: -1 }, name: 'total_1_note_-1' });
  store.addIndex('shop.orders', { key: { note: 1 }, name: 'open', partialFilterExpression: { total: { $gt: 5 } } });
  store.create('shop.strict', { validator: { $jsonSchema: { required: ['name'] } }, validationLevel: 'moderate' });
  store.insert('shop.strict', { _id: 'older than the validator' });
  store.create('shop.last', { capped: true, size: 100_000, max: 50 });
  for (let i = 0; i < 20; i++) store.insert('shop.last', { _id: i, at: new Date(i) });
  store.create('shop.empty');
  store.create('shop.dear', { viewOn: 'orders', pipeline: [{ $match: { total: { $gte: 100 } } }] });
  store.create('shop.weather', { timeseries: { timeField: 'at', metaField: 'place', granularity: 'hours' } });
  store.insert('shop.system.buckets.weather', {
    _id: new ObjectId(),
    control: { version: 1 },
    data: { at: { 0: new Date(0) } },
  });
  store.insert('shop.kinds', ...everyKind);
  for (let i = 0; i < accounts; i++) {
    store.insert('bank.left', { _id: i, balance });
    store.insert('bank.right', { _id: i, balance });
  }
  store.insert('admin.system.users', { _id: 'bank.clerk', user: 'clerk', db: 'bank', roles: [] });
  store.insert('admin.system.version', { _id: 'authSchema', currentVersion: 5 });
}

export const everyKind: readonly Document[] = [
  { _id: new ObjectId('65a000000000000000000001'), double: new Double(1), int: new Int32(1), long: Long.fromInt(1) },
  {
    _id: new Map([
      ['b', 1],
      ['a', 2],
    ]),
    decimal: Decimal128.fromString('1.10'),
    nan: NaN,
    minus: new Double(-0),
  },
  { _id: Long.MAX_VALUE, least: new MinKey(), most: new MaxKey(), stamp: Timestamp.fromBits(1, 2), nothing: null },
  {
    _id: 'text',
    date: new Date(-1),
    binary: new Binary(Buffer.from([1, 2, 3]), 0x80),
    code: new Code('f()', { x: 1 }),
  },
  { _id: 1.5, expression: new BSONRegExp('^a', 'i'), list: [1, [2, { x: [] }]], '': { '': '' }, ünï: '\u0000 zero' },
  {
    _id: new Binary(Buffer.alloc(16, 7), 4),
    numbered: new Map([
      ['2', 'two'],
      ['10', 'ten'],
      ['1', 'one'],
    ]),
  },
];

/** Moves money between two collections, both sides at once; disposing stops it. */
export function startTransfers(server: MongoStandIn): AsyncDisposable & { readonly transfers: number } {
  let transfers = 0;
  let failure: unknown;
  const transfer = (): void => {
    try {
      transferOnce(server, transfers++);
    } catch (error) {
      failure ??= error;
    }
  };
  const timer = setInterval(transfer, 1);
  return {
    get transfers() {
      return transfers;
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      if (failure) throw failure;
    },
  };
}

export function transferOnce({ store }: MongoStandIn, seed: number): void {
  const from = seed % accounts;
  const to = (seed * 7) % accounts;
  const [left, right] = [balanceOf(store, 'bank.left', from), balanceOf(store, 'bank.right', to)];
  store.write([
    store.setting('bank.left', from, { balance: left - 1 }),
    store.setting('bank.right', to, { balance: right + 1 }),
  ]);
  store.insert('bank.journal', { _id: new ObjectId(), from, to });
}

function balanceOf(store: MongoStandIn['store'], ns: string, id: number): number {
  return Number(store.value(ns, id)?.balance);
}

/** Of all accounts of both sides. */
export function totalMoney({ store }: MongoStandIn): number {
  return [...store.values('bank.left'), ...store.values('bank.right')].reduce(
    (sum, one) => sum + Number(one.balance),
    0,
  );
}
