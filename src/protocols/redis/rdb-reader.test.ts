import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HoldfastError } from '../../base/errors.ts';
import { crc64Redis } from '../crc64.ts';
import { dumpPayload } from './dump-payload.ts';
import { nameOf, piecesOf, type ReadFile, readPieces, savedBy, savedFile } from './fixture.ts';
import { RdbCheck } from './rdb-check.ts';
import { RdbReader } from './rdb-reader.ts';

const whole = (bytes: Uint8Array): ReadFile => readPieces([bytes]);

/** Type bytes each release writes for the same data. */
const types = {
  'redis-6.0.16': [0, 2, 4, 5, 11, 12, 13, 14, 15],
  'redis-7.0.15': [0, 2, 4, 5, 11, 16, 17, 18, 19],
  'redis-8.0.6': [0, 2, 4, 5, 11, 16, 17, 18, 20, 21, 24, 25],
  'valkey-8.1.1': [0, 2, 4, 5, 11, 16, 17, 18, 20, 21],
  'valkey-9.1.2': [0, 2, 4, 5, 11, 16, 17, 18, 20, 21, 22],
} as const;

describe.each(savedBy)('a file saved by %s', (release) => {
  const bytes = savedFile(release);
  const read = whole(bytes);
  const value = (name: string): readonly string[] | undefined => read.values.get(name);

  test('holds the encodings it is there for', () => {
    expect([...read.types].toSorted((a, b) => a - b)).toEqual(types[release]);
    expect(read.header?.product).toBe(release === 'valkey-9.1.2' ? 'valkey' : 'redis');
  });

  test('gives the values that were set', () => {
    const binary = Buffer.from([0, 255, 10, 13, 34, 92, 200, 128, 9]).toString('latin1');
    expect(value('0 string string')).toEqual(['hello']);
    expect(value('0 string empty')).toEqual(['']);
    expect(value('0 string number:8')).toEqual(['-100']);
    expect(value('0 string number:32')).toEqual(['-2000000000']);
    expect(value('0 string number:64')).toEqual(['9223372036854775807']);
    expect(value('0 string number:padded')).toEqual(['007']);
    expect(value('0 string compressed')).toEqual(['a long text, well compressed '.repeat(40)]);
    expect(value(`0 string ${binary}`)).toEqual([binary]);
    expect(value('0 string expires @4102444800000')).toEqual(['later']);
    const small = value('0 list list:small')!;
    expect(small.slice(0, 7)).toEqual(['a', '1', '-5000', '70000', '4000000000', '-9223372036854775808', binary]);
    expect(small.at(-1)).toBe('');
    expect(value('0 list list:large')).toHaveLength(2001);
    expect(value('0 set set:numbers:16')).toEqual(['-3', '1', '2']);
    expect(value('0 set set:numbers:64')).toEqual(['1', '2', '5000000000']);
    expect(value('0 set set:large')).toHaveLength(700);
    expect(value('0 zset zset:small')).toEqual(
      sorted(`${binary}=0.1`, '17=3', 'a=1', 'b=-2.5', 'c=1e+300', 'd=Infinity', 'e=-Infinity'),
    );
    expect(value('0 zset zset:large')).toContain(`member 3=${3 / 7}`);
    expect(value('0 hash hash:small')).toEqual(sorted(`${binary}=${binary}`, '1=2', 'empty=', 'name=value'));
    expect(value('0 hash hash:large')).toHaveLength(700);
    expect(value('3 string string')).toEqual(['in another database']);
    expect(value('9 hash hash')).toEqual(['a=b']);
  });

  test('gives streams with their groups, whatever the version of the format', () => {
    const lines = value('0 stream stream')!;
    expect(lines.slice(0, 3)).toEqual([
      '1-1 a,1,b,2',
      '5-0 other,fields,in,this',
      expect.stringContaining('a,a long text'),
    ]);
    expect(lines.filter((line) => /^\d+-/.test(line))).toHaveLength(302);
    const version1 = release === 'redis-6.0.16';
    const deleted = version1 ? '0-0 302' : '1700000000001-7 304';
    expect(lines).toContain(`counters 302 1700000000001-300 1-1 ${deleted}`);
    expect(lines.filter((line) => line.startsWith('pending'))).toHaveLength(7);
    expect(lines.filter((line) => line.startsWith('owned'))).toHaveLength(7);
    expect(lines.filter((line) => line.startsWith('consumer'))).toEqual(['consumer alice', 'consumer bob']);
    expect(value('0 stream stream:emptied')?.[0]).toMatch(/^counters 0 9-9 0-0 /);
  });

  test('gives the same in pieces of any size', () => {
    fc.assert(
      fc.property(fc.infiniteStream(fc.integer({ min: 1, max: 3000 })), (sizes) => {
        expect(readPieces(piecesOf(bytes, () => sizes.next().value!))).toEqual(read);
      }),
      { numRuns: 4 },
    );
    expect(readPieces(piecesOf(bytes, () => 1))).toEqual(read);
  });

  test('can be passed over, and gives the bytes of its values', () => {
    new RdbReader({}).feed(bytes);
    const found = new Map<string, number>();
    const reader = new RdbReader({
      key: () => 'raw',
      keyEnd: (key, length, raw) => {
        expect(raw).toHaveLength(length);
        expect(bytes.includes(Buffer.from(raw!))).toBe(true);
        found.set(nameOf(key), length);
      },
    });
    for (const piece of piecesOf(bytes, () => 977)) reader.feed(piece);
    reader.end();
    expect([...found.keys()]).toEqual([...read.values.keys()]);
  });

  test('is not taken for whole when its end is missing, when more follows it, or when a bit is wrong', () => {
    for (let cut = 1; cut < 400; cut += 57) expect(() => whole(bytes.subarray(0, -cut))).toThrow(HoldfastError);
    expect(() => whole(Buffer.concat([bytes, Buffer.of(0)]))).toThrow('bytes follow its end');
    const check = (copy: Buffer): boolean => {
      const checking = new RdbCheck();
      for (const piece of piecesOf(copy, () => 4096)) checking.update(piece);
      return checking.end();
    };
    expect(check(bytes)).toBe(true);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: bytes.length * 8 - 1 }), (bit) => {
        const copy = Buffer.from(bytes);
        copy[bit >> 3] ^= 1 << (bit & 7);
        expect(() => check(copy)).toThrow(HoldfastError);
      }),
      { numRuns: 30 },
    );
  });

  test('with any bytes changed ends in a clean error or in other values, never in anything else', () => {
    const change = fc.tuple(fc.nat({ max: bytes.length - 1 }), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 5 }), (changes) => {
        const copy = Buffer.from(bytes);
        for (const [at, byte] of changes) copy[at] = byte;
        expectCleanEnd(copy);
      }),
      { numRuns: 100 },
    );
  });
});

test('values are the same in every release', () => {
  const [first, ...others] = savedBy.map((name) => whole(savedFile(name)).values);
  for (const [name, value] of first) {
    if (name.includes('stream') || name.includes('expiring') || name.includes('hyperloglog')) continue;
    for (const other of others) expect(other.get(name), name).toEqual(value);
  }
});

test('fields of hashes that expire are read in the form of Redis and in that of Valkey', () => {
  for (const release of ['redis-8.0.6', 'valkey-9.1.2'] as const) {
    const { values } = whole(savedFile(release));
    expect(values.get('0 hash hash:expiring')).toEqual([
      'goes later=3 @4102444812345',
      'goes=2 @4102444800000',
      'stays=1',
    ]);
    const large = values.get('0 hash hash:expiring:large')!;
    expect(large.filter((line) => line.includes('@'))).toEqual([
      'field 3=value 3 @4102444800000',
      'field 5=value 5 @4102444800000',
    ]);
  }
});

test('what servers before 3.2 wrote is read: plain lists, scores as text, zipmaps, ziplists of lists', () => {
  const strings = (...all: string[]): Buffer =>
    Buffer.concat(all.map((one) => Buffer.from([one.length, ...Buffer.from(one)])));
  const key = (type: number, name: string, ...value: Buffer[]): Buffer =>
    Buffer.concat([Buffer.of(type), strings(name), ...value]);
  const zipmap = Buffer.from([
    2,
    1,
    ...Buffer.from('a'),
    1,
    0,
    ...Buffer.from('x'),
    2,
    ...Buffer.from('bc'),
    3,
    2,
    ...Buffer.from('xyz'),
    0,
    0,
    255,
  ]);
  const ziplist = Buffer.from([18, 0, 0, 0, 13, 0, 0, 0, 2, 0, 0, 0xfe, 11, 3, 0xc0, 7, 0, 255]);
  const { values } = whole(
    file(3, [
      Buffer.from([253, 1, 0, 0, 0]),
      key(1, 'list', Buffer.of(2), strings('a', 'b')),
      key(
        3,
        'zset',
        Buffer.of(3),
        strings('m'),
        strings('1.5'),
        strings('i'),
        Buffer.of(254),
        strings('n'),
        Buffer.of(255),
      ),
      key(9, 'zipmap', Buffer.of(zipmap.length), zipmap),
      key(10, 'ziplist', Buffer.of(ziplist.length), ziplist),
    ]),
  );
  expect([...values]).toEqual([
    ['0 list list @1000', ['a', 'b']],
    ['0 zset zset', ['i=Infinity', 'm=1.5', 'n=-Infinity']],
    ['0 hash zipmap', ['a=x', 'bc=xyz']],
    ['0 list ziplist', ['11', '7']],
  ]);
});

test('parts that are not known are refused by name', () => {
  expect(() => whole(file(11, [Buffer.from([99, 1, 97, 0])]))).toThrow('a value of type 99 (redis)');
  expect(() => whole(file(11, [Buffer.from([22, 1, 97, 0])]))).toThrow('a value of type 22 (redis)');
  expect(() => whole(file(11, [Buffer.from([246, 1, 97, 0])]))).toThrow('a part of kind 246');
  expect(() => whole(Buffer.from('REDIS9999'))).toThrow('format version');
  expect(() => whole(Buffer.from('<!DOCTYPE html>'))).toThrow('does not begin as an RDB file');
});

test('modules are passed over: their values, and what they note beside', () => {
  const value = Buffer.from([
    7,
    1,
    109,
    0x81,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    2,
    5,
    4,
    ...Buffer.alloc(8),
    5,
    2,
    97,
    98,
    3,
    0,
    0,
    0,
    0,
    0,
  ]);
  const aux = Buffer.from([247, 0x81, 1, 2, 3, 4, 5, 6, 7, 8, 2, 2, 5, 1, 97, 0]);
  expect([...whole(file(11, [aux, value])).values.keys()]).toEqual(['0 module m']);
});

test('a payload of RESTORE is type, value, version and checksum', () => {
  const value = Buffer.from([5, ...Buffer.from('hello')]);
  // What Redis 7.0.15 answers to DUMP.
  expect(Buffer.from(dumpPayload(0, value, 10)).toString('hex')).toBe('000568656c6c6f0a006372df766534200a');
});

test('any bytes at all end in a clean error', () => {
  const start = fc.constantFrom('REDIS0011', 'REDIS0012', 'VALKEY080');
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 300 }), (magic, rest) => {
      expectCleanEnd(Buffer.concat([Buffer.from(magic), rest]));
    }),
    { numRuns: 3000 },
  );
});

function sorted(...lines: string[]): string[] {
  return lines.toSorted((a, b) => (a < b ? -1 : 1));
}

function expectCleanEnd(bytes: Buffer): void {
  try {
    readPieces(piecesOf(bytes, () => 700));
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
  }
}

function file(version: number, parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat([Buffer.from(`REDIS${String(version).padStart(4, '0')}`), ...parts, Buffer.of(255)]);
  return version < 5 ? body : Buffer.concat([body, crc64Redis().update(body).bytes()]);
}
