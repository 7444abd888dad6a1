import { expect, test } from 'vitest';
import { parseRecords } from './stat-records.ts';

const token = 'f'.repeat(32);
const times = '2020-09-13 12:26:40.123456789 +0000|2020-09-13 12:26:40.000000001 +0000|1969-12-31 23:59:59.5 +0000';

function record(mode: string, name: string, numbers = '1 0 0 5 2049 77 0 0'): string {
  return `${token}#${mode} ${numbers} 1600000000 1600000000 -1|${times}|root|UNKNOWN|${name}\n`;
}

test('a record becomes attributes, times to the nanosecond also before 1970', () => {
  const [found] = parseRecords(Buffer.from(record('81a4', '/etc/passwd')), token);
  expect(found).toMatchObject({
    ...{ name: 'passwd', type: 'file', mode: 0o644, size: 5, links: 1, uid: 0, gid: 0, user: 'root', group: undefined },
    ...{ atimeNs: 1_600_000_000_123_456_789n, mtimeNs: 1_600_000_000_000_000_001n, ctimeNs: -500_000_000n },
    ...{ inode: 77n, deviceId: 2049n },
  });
});

test('names and targets of any bytes are kept, and a link whose target is not known is left out', () => {
  const output = [
    `${token}>./l|i\nnk${token}=/a\n|b\n`,
    record('a1ff', './l|i\nnk'),
    record('a1ff', './gone'),
    record('41ed', './d|\n'),
  ];
  const found = parseRecords(
    Buffer.concat([
      Buffer.from(output.join('')),
      Buffer.from(record('1180', './')).subarray(0, -1),
      Buffer.from([0xff, 0x0a]),
    ]),
    token,
  );
  expect(found.map(({ name, type, linkTarget }) => [name, type, linkTarget])).toEqual([
    ['l|i\nnk', 'symlink', '/a\n|b\n'],
    ['d|\n', 'dir', undefined],
    ['\udcff', 'fifo', undefined],
  ]);
});

test('devices have their numbers as the kernel puts them together', () => {
  const [found] = parseRecords(Buffer.from(record('21b6', './null', '1 0 0 0 5 6 1 3')), token);
  expect(found).toMatchObject({ type: 'chardev', device: 0x103n, size: 0 });
  const [large] = parseRecords(Buffer.from(record('61b0', './disk', '1 0 0 0 5 6 103 12345')), token);
  expect(large.device).toBe((0x45n | (0x103n << 8n)) + (0x12300n << 12n));
});
