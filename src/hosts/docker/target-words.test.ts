import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { NodeAttributes } from '../../model/node.ts';
import { attributeWords, blocksFor, dataParts, deviceNumbers } from './target-words.ts';

test('the parts of a piece are all of it but zeros, in order, none too long, and few are not aligned', () => {
  fc.assert(
    fc.property(
      fc.nat(10 << 20),
      fc.nat(3 << 20),
      fc.array(fc.nat(3 << 20), { maxLength: 8 }),
      (position, length, marks) => {
        const bytes = Buffer.alloc(length);
        for (const mark of marks) if (mark < length) bytes[mark] = 1;
        const parts = dataParts(bytes, position, true);
        const copy = Buffer.alloc(length);
        let last = 0;
        for (const { from, to } of parts) {
          expect(from).toBeGreaterThanOrEqual(last);
          expect(to - from).toBeLessThanOrEqual(1 << 20);
          bytes.copy(copy, from, from, to);
          const { block, blocks } = blocksFor(position + from);
          expect(block * blocks).toBe(position + from);
          if (block < 4096) expect(to - from).toBeLessThan(4096);
          last = to;
        }
        expect(copy.equals(bytes)).toBe(true);
        const all = dataParts(bytes, position, false);
        expect(all.reduce((sum, { from, to }) => sum + to - from, 0)).toBe(length);
      },
    ),
    { numRuns: 60 },
  );
});

test('times are told to the nanosecond, before 1970 too; a link has no mode', () => {
  const node = {
    type: 'file',
    uid: 1,
    gid: 2,
    mode: 0o4755,
    atimeNs: -1n,
    mtimeNs: 1_600_000_000_000_000_001n,
  } as NodeAttributes;
  expect(attributeWords(node)).toEqual(['1:2', '@-1.999999999', '@1600000000.000000001', '4755', '0755']);
  expect(attributeWords({ ...node, type: 'symlink' }).slice(3)).toEqual(['', '']);
});

test('a device is taken apart as it was put together', () => {
  expect(deviceNumbers(0x103n)).toEqual(['1', '3']);
  expect(deviceNumbers((0x45n | (0x103n << 8n)) + (0x12300n << 12n))).toEqual(['259', '74565']);
});
