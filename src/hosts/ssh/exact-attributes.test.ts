import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseDevice, parseExact, parseTimeNs, showTimeNs, splitDevice } from './exact-attributes.ts';

const entry = ['name', 'f', '6755', '1.0000000020', '3.5000000000', '-2.5000000000', '0', '7', 'root', '7'];
const rest = ['12', '34', '5', '2', ''];

describe('what find prints', () => {
  test('is one entry after the other', () => {
    const output = Buffer.from([...entry, ...rest, ...entry, ...rest].map((field) => `${field}\0`).join(''));
    const found = parseExact(output)!;
    expect(found).toHaveLength(2);
    expect(found[0]).toMatchObject({
      ...{ name: 'name', type: 'file', mode: 0o6755, mtimeNs: 1_000_000_002n, atimeNs: 3_500_000_000n },
      ...{ ctimeNs: -1_500_000_000n, uid: 0, gid: 7, user: 'root', group: undefined, inode: 12n, deviceId: 34n },
      ...{ size: 5, links: 2, linkTarget: undefined },
    });
  });

  test('is refused when it is cut, or something else', () => {
    const text = [...entry, ...rest].map((field) => `${field}\0`).join('');
    expect(parseExact(Buffer.from(text.slice(0, -1)))).toBeUndefined();
    expect(parseExact(Buffer.from('find: unrecognized: -printf\0'))).toBeUndefined();
    expect(parseExact(Buffer.from(text.replace('6755', 'rwx')))).toBeUndefined();
    expect(parseExact(Buffer.alloc(0))).toEqual([]);
  });
});

test('times', () => {
  expect(parseTimeNs('1600000000.1234567890')).toBe(1_600_000_000_123_456_789n);
  expect(parseTimeNs('-1.5000000000')).toBe(-500_000_000n);
  expect(parseTimeNs('1')).toBe(1_000_000_000n);
  expect(parseTimeNs('1,5')).toBeUndefined();
  expect(showTimeNs(1_600_000_000_123_456_789n)).toBe('1600000000.123456789');
  expect(showTimeNs(-1_500_000_000n)).toBe('-1.500000000');
});

test('device numbers come back from what stat prints and mknod takes', () => {
  expect(parseDevice('1 3')).toBe(0x103n);
  expect(parseDevice('')).toBeUndefined();
  fc.assert(
    fc.property(fc.bigInt(0n, 0xffffn), fc.bigInt(0n, 0xfffffn), (major, minor) => {
      expect(splitDevice(parseDevice(`${major.toString(16)} ${minor.toString(16)}`)!)).toEqual({ major, minor });
    }),
  );
});
