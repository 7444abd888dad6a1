import { expect, test } from 'vitest';
import { parseHoles } from './holes.ts';
import { parseXattrs } from './xattrs.ts';

test('what getfattr prints, with names that are escaped and values that are empty', () => {
  const text =
    '# file: /a/back\\134slash\nuser.t=0x78\n\n# file: /a/plain\nuser.e=0x\nuser.none\nuser.n\\012l\\075=0x7100\n\n';
  const found = parseXattrs(Buffer.from(text));
  expect([...found.keys()]).toEqual(['back\\slash', 'plain']);
  expect(found.get('plain')).toEqual([
    { name: 'user.e', value: Buffer.alloc(0) },
    { name: 'user.none', value: Buffer.alloc(0) },
    { name: 'user.n\nl=', value: Buffer.from('q\0') },
  ]);
  expect([...parseXattrs(Buffer.from([...Buffer.from('# file: /bad'), 0xff, 0x0a])).keys()]).toEqual(['bad\udcff']);
});

test('holes, and nothing if anything else is printed', () => {
  expect(parseHoles('20000000000000 -1\n0 8388608\n10000000000000 20000000000000\n')).toEqual({
    size: 20_000_000_000_000,
    mtime: -1,
    holes: [
      { start: 0, end: 8_388_608 },
      { start: 10_000_000_000_000, end: 20_000_000_000_000 },
    ],
  });
  expect(parseHoles('1 1\nTraceback\n')).toBeUndefined();
  expect(parseHoles('')).toBeUndefined();
});
