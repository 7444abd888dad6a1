/** Data of every type and encoding a server has, and writers that keep an invariant. */
import type { Argument } from '../../src/protocols/redis/connection.ts';
import type { RedisClient, RedisServer } from './redis.ts';

type Command = readonly Argument[];

const binary = Buffer.from([0, 255, 10, 13, 34, 92, 200, 128, 9]);
const long = 'a long text, well compressed '.repeat(40);
/** 2100: nothing expires while a test runs. */
const far = '4102444800000';

/** Small and large, text and numbers, in every collection: the server chooses another encoding for each. */
const basics: readonly Command[] = [
  ['SET', 'string', 'hello'],
  ['SET', 'empty', ''],
  ['SET', 'number:8', '-100'],
  ['SET', 'number:16', '30000'],
  ['SET', 'number:32', '-2000000000'],
  ['SET', 'number:64', '9223372036854775807'],
  ['SET', 'number:padded', '007'],
  ['SET', 'compressed', long],
  ['SET', binary, binary],
  ['SET', 'expires', 'later', 'PXAT', far],
  ['SET', 'ключ 🔑', 'значение'],
  ['SETBIT', 'bits', '1000', '1'],
  ['PFADD', 'hyperloglog', ...numbers(50)],
  ['GEOADD', 'places', '13.361389', '38.115556', 'Palermo', '15.087269', '37.502669', 'Catania'],
  ['RPUSH', 'list:small', 'a', '1', '-5000', '70000', '4000000000', '-9223372036854775808', binary, long, ''],
  ['RPUSH', 'list:large', ...numbers(2000), 'x'.repeat(20_000)],
  ['SADD', 'set:numbers:16', '1', '2', '-3'],
  ['SADD', 'set:numbers:32', '1', '2', '100000'],
  ['SADD', 'set:numbers:64', '1', '2', '5000000000'],
  ['SADD', 'set:small', 'a', 'b', binary, '17'],
  ['SADD', 'set:large', ...numbers(700).map((one) => `member ${one}`)],
  ['ZADD', 'zset:small', '1', 'a', '-2.5', 'b', '1e300', 'c', 'inf', 'd', '-inf', 'e', '0.1', binary, '3', '17'],
  ['ZADD', 'zset:large', ...numbers(300).flatMap((one) => [String(Number(one) / 7), `member ${one}`])],
  ['HSET', 'hash:small', 'name', 'value', '1', '2', binary, binary, 'empty', ''],
  ['HSET', 'hash:large', ...numbers(700).flatMap((one) => [`field ${one}`, `value ${one}`])],
  ['HSET', 'hash:long', 'text', 'x'.repeat(5000), 'compressed', long],
];

const streams: readonly Command[] = [
  ['XADD', 'stream', '1-1', 'a', '1', 'b', '2'],
  ['XADD', 'stream', '1-2', 'a', '3', 'b', '4'],
  ['XADD', 'stream', '5-0', 'other', 'fields', 'in', 'this'],
  ['XADD', 'stream', '1700000000000-0', 'a', long],
  ...numbers(300).map((one): Command => ['XADD', 'stream', `1700000000001-${one}`, 'n', one]),
  ['XDEL', 'stream', '1-2', '1700000000001-7'],
  ['XGROUP', 'CREATE', 'stream', 'group', '0'],
  ['XGROUP', 'CREATE', 'stream', 'end', '$'],
  ['XREADGROUP', 'GROUP', 'group', 'alice', 'COUNT', '5', 'STREAMS', 'stream', '>'],
  ['XREADGROUP', 'GROUP', 'group', 'bob', 'COUNT', '3', 'STREAMS', 'stream', '>'],
  ['XACK', 'stream', 'group', '1-1'],
  ['XADD', 'stream:emptied', '9-9', 'a', 'b'],
  ['XDEL', 'stream:emptied', '9-9'],
];

const library =
  '#!lua name=holdfast_test\nredis.register_function("holdfast_double", function(keys, args) return args[1] * 2 end)\n';

const fieldExpiry: readonly Command[] = [
  ['HSET', 'hash:expiring', 'stays', '1', 'goes', '2', 'goes later', '3'],
  ['HPEXPIREAT', 'hash:expiring', far, 'FIELDS', '1', 'goes'],
  ['HPEXPIREAT', 'hash:expiring', String(Number(far) + 12_345), 'FIELDS', '1', 'goes later'],
  ['HSET', 'hash:expiring:large', ...numbers(700).flatMap((one) => [`field ${one}`, `value ${one}`])],
  ['HPEXPIREAT', 'hash:expiring:large', far, 'FIELDS', '2', 'field 3', 'field 5'],
];

/** Fills databases 0, 3 and 9. Commands a release does not know are left out; they are named in the answer. */
export async function seedRedis(server: RedisServer): Promise<string[]> {
  const client = await server.client();
  const refused: string[] = [];
  const optional = async (commands: readonly Command[]): Promise<void> => {
    for (const command of commands) await client.run(...command).catch((error: Error) => refused.push(error.message));
  };
  await client.all(basics.filter((command) => !command.includes('PXAT')));
  await optional([['SET', 'expires', 'later']]);
  await client.run('PEXPIREAT', 'expires', far);
  await client.all(streams);
  await optional([['FUNCTION', 'LOAD', library], ...fieldExpiry]);
  await client.all([
    ['SELECT', '3'],
    ['SET', 'string', 'in another database'],
    ['SELECT', '9'],
    ['HSET', 'hash', 'a', 'b'],
  ]);
  return refused;
}

export const accounts = 50;
const startBalance = 1000;
export const total = accounts * startBalance;

export async function seedBank(client: RedisClient): Promise<void> {
  for (let i = 0; i < accounts; i++) await client.run('SET', `account:${i}`, String(startBalance));
  await client.run('SET', 'moved', '0');
}

export interface Writers extends AsyncDisposable {
  /** Transfers that were made. */
  count(): number;
}

/** Transfers between accounts, each in one transaction with the tally: the sum of all accounts never changes. */
export async function startWriters(server: RedisServer, writers = 2): Promise<Writers> {
  let isStopped = false;
  let made = 0;
  const write = async (): Promise<void> => {
    const client = await server.client();
    while (!isStopped) {
      const [from, to] = [random(accounts), random(accounts)];
      const amount = String(random(100));
      await client.all([
        ['MULTI'],
        ['DECRBY', `account:${from}`, amount],
        ['INCRBY', `account:${to}`, amount],
        ['INCRBY', 'moved', amount],
        ['HSET', 'last', 'from', String(from), 'to', String(to), 'amount', amount],
        ['XADD', 'ledger', 'MAXLEN', '1000', '*', 'from', String(from), 'to', String(to), 'amount', amount],
        ['EXEC'],
      ]);
      made++;
    }
  };
  const running = Promise.all(Array.from({ length: writers }, write));
  running.catch(() => undefined);
  return {
    count: () => made,
    async [Symbol.asyncDispose]() {
      isStopped = true;
      await running;
    },
  };
}

function random(below: number): number {
  return Math.floor(Math.random() * below);
}

function numbers(count: number): string[] {
  return Array.from({ length: count }, (_, i) => String(i + 1));
}
