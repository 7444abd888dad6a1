import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Snapshot } from '../../model/snapshot.ts';
import { decodeSnapshot, encodeSnapshot, snapshotTimeMs } from './snapshot.ts';

const damaged = expect.objectContaining({ code: 'repository.damaged' });
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
const utf8 = (json: string): Buffer => Buffer.from(json, 'utf8');

const id = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const unicode = fc.string({ unit: 'grapheme', minLength: 1 });
const some = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });
const count = some(fc.maxSafeNat());
const time = fc
  .date({ min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31T00:00:00Z'), noInvalidDate: true })
  .map((date) => date.toISOString().replace('Z', '5+01:00'));
const otherFields = some(fc.constant([{ name: 'later<', json: '{"a":[1.50,"\\u003c"]}' }]));

const anySnapshot: fc.Arbitrary<Snapshot> = fc.record({
  time,
  tree: id,
  paths: fc.array(unicode),
  hostname: some(unicode),
  username: some(unicode),
  uid: some(fc.integer({ min: 1, max: 2 ** 32 - 1 })),
  gid: some(fc.integer({ min: 1, max: 2 ** 32 - 1 })),
  excludes: some(fc.array(unicode, { minLength: 1 })),
  tags: some(fc.array(unicode, { minLength: 1 })),
  parent: some(id),
  original: some(id),
  programVersion: some(unicode),
  summary: some(
    fc.record({
      backupStart: some(time),
      backupEnd: some(time),
      filesNew: count,
      filesChanged: count,
      filesUnmodified: count,
      dirsNew: count,
      dirsChanged: count,
      dirsUnmodified: count,
      dataBlobs: count,
      treeBlobs: count,
      dataAdded: count,
      dataAddedPacked: count,
      totalFilesProcessed: count,
      totalBytesProcessed: count,
      otherFields,
    }),
  ),
  otherFields,
});

const tree = 'ab'.repeat(32);
const least = `{"time":"2026-11-21T04:00:00.5+01:00","tree":"${tree}","paths":["/"]}`;

describe('a snapshot', () => {
  test('is read as what was written, and written again as it was', () => {
    fc.assert(
      fc.property(anySnapshot, (snapshot) => {
        const bytes = encodeSnapshot(snapshot);
        const decoded = decodeSnapshot(bytes);
        expect(decoded).toEqual(snapshot);
        expect(text(encodeSnapshot(decoded))).toBe(text(bytes));
        expect(() => JSON.parse(text(bytes))).not.toThrow();
      }),
    );
  });

  test('keeps fields of newer programs when it is rewritten with another tag', () => {
    const json = least.replace('}', ',"tags":["a"],"summary":{"files_new":1,"more":[2]},"later":{"b":1.0}}');
    const rewritten = encodeSnapshot({ ...decodeSnapshot(utf8(json)), tags: ['b'] });
    expect(text(rewritten)).toBe(json.replace('"a"', '"b"'));
  });

  test('is written without what is only known of a stored one', () => {
    const stored = { ...decodeSnapshot(utf8(least)), id: tree, timeMs: 1 };
    expect(text(encodeSnapshot(stored))).toBe(least);
  });

  test('is written with its time as Go would write it, and texts that are not Unicode as Go does', () => {
    const snapshot = { ...decodeSnapshot(utf8(least)), time: '2026-11-21T04:00:00.500+01:00', paths: ['/a\udcff'] };
    expect(text(encodeSnapshot(snapshot))).toBe(least.replace('"/"', '"/a\\ufffd"'));
  });

  test('knows its moment', () => {
    expect(snapshotTimeMs(decodeSnapshot(utf8(least)))).toBe(Date.parse('2026-11-21T03:00:00.500Z'));
  });

  test('without paths is one of none', () => {
    expect(decodeSnapshot(utf8(least.replace('["/"]', 'null'))).paths).toEqual([]);
  });

  test.each([
    ['without a time', least.replace('"time":"2026-11-21T04:00:00.5+01:00",', '')],
    ['without a tree', least.replace(/"tree":"[^"]*",/, '')],
    ['whose tree is null', least.replace(`"${tree}"`, 'null')],
    ['with a tree that is no id', least.replace(tree, 'abc')],
    ['with a time that is none', least.replace('2026', 'MMXXVI')],
    ['with tags that are no list', least.replace('}', ',"tags":"a"}')],
    ['with a count that is none', least.replace('}', ',"summary":{"files_new":-1}}')],
    ['with a summary that is no object', least.replace('}', ',"summary":[]}')],
    ['with a summary whose time is none', least.replace('}', ',"summary":{"backup_end":"later"}}')],
    ['that is a list', '[]'],
    ['that does not end', least.slice(0, -1)],
  ])('%s is damaged', (_, json) => {
    expect(() => decodeSnapshot(utf8(json))).toThrow(damaged);
  });
});
