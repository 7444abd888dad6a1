import { deserialize, Long, serialize } from 'bson';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HoldfastError, hasCode } from '../../base/errors.ts';
import { crc64Xz } from '../crc64.ts';
import { type ArchiveCollection, archivePrelude, collectionEnd, segmentEnd, segmentStart } from './archive.ts';
import { type ArchivePart, readArchive } from './archive-reader.ts';

const metadata = '{"options":{},"indexes":[]}';
const collections: readonly ArchiveCollection[] = [
  { database: 'shop', collection: 'orders', kind: 'collection', metadata },
  { database: 'shop', collection: 'empty', kind: 'collection', metadata },
  { database: 'shop', collection: 'dear', kind: 'view', metadata },
  { database: 'shop', collection: 'weather', kind: 'timeseries', metadata },
];
const orders = [{ _id: 1, total: 2.5 }, { _id: 'two', list: [1, { a: Long.MAX_VALUE }] }, {}].map((one) =>
  serialize(one),
);

function crcOf(documents: readonly Uint8Array[]): bigint {
  const crc = crc64Xz();
  for (const one of documents) crc.update(one);
  return crc.value();
}

function wholeArchive(): Buffer {
  const end = (name: string, documents: readonly Uint8Array[]) => collectionEnd('shop', name, crcOf(documents));
  return Buffer.concat([
    archivePrelude({ serverVersion: '7.0.5', toolVersion: 'holdfast' }, collections),
    ...[segmentStart('shop', 'orders'), orders[0], segmentEnd()],
    ...[segmentStart('shop', 'system.buckets.weather'), orders[1], segmentEnd()],
    // mongodump writes several collections at once, in turns
    ...[segmentStart('shop', 'orders'), orders[1], orders[2], segmentEnd()],
    ...[end('orders', orders), end('empty', []), end('system.buckets.weather', [orders[1]])],
  ]);
}

async function read(bytes: Uint8Array, pieceBytes = bytes.length): Promise<ArchivePart[]> {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) pieces.push(bytes.subarray(at, at + pieceBytes));
  const parts: ArchivePart[] = [];
  for await (const part of readArchive(pieces)) parts.push(part);
  return parts;
}

function documentsOf(parts: readonly ArchivePart[], name: string): string[] {
  return parts.flatMap((part) =>
    part.type === 'documents' && part.collection === name
      ? part.documents.map((one) => Buffer.from(one).toString('hex'))
      : [],
  );
}

const asHex = (documents: readonly Uint8Array[]): string[] => documents.map((one) => Buffer.from(one).toString('hex'));

describe('an archive', () => {
  it.each([1, 3, 7, 64, 100_000])('reads back as it was written, in pieces of %i bytes', async (pieceBytes) => {
    const parts = await read(wholeArchive(), pieceBytes);
    expect(parts[0]).toEqual({
      type: 'prelude',
      header: { serverVersion: '7.0.5', toolVersion: 'holdfast' },
      collections,
    });
    expect(documentsOf(parts, 'orders')).toEqual(asHex(orders));
    expect(documentsOf(parts, 'system.buckets.weather')).toEqual(asHex([orders[1]]));
    expect(parts.filter(({ type }) => type === 'end')).toHaveLength(3);
  });

  it('begins with the bytes mongorestore looks for, and says what its specification says', () => {
    const bytes = wholeArchive();
    expect(bytes.subarray(0, 4).toString('hex')).toBe('6de29981');
    const header = deserialize(bytes.subarray(4, 4 + bytes.readInt32LE(4)));
    expect(header).toEqual({
      concurrent_collections: 1,
      version: '0.1',
      server_version: '7.0.5',
      tool_version: 'holdfast',
    });
  });

  it('cut anywhere is no archive', async () => {
    const bytes = wholeArchive();
    for (let length = 0; length < bytes.length; length++) {
      await expect(read(bytes.subarray(0, length)), `cut to ${length}`).rejects.toThrow(HoldfastError);
    }
  });

  it('with any byte of a document changed is found out by its checksum', async () => {
    const bytes = wholeArchive();
    const at = bytes.indexOf(Buffer.from('two'));
    bytes[at] ^= 1;
    await expect(read(bytes)).rejects.toThrow('the checksum of shop.');
  });

  it('may hold anything at all: it is refused or read, and never breaks the reader', async () => {
    const whole = wholeArchive();
    const mutation = fc.record({ at: fc.nat(whole.length - 1), bytes: fc.uint8Array({ minLength: 1, maxLength: 9 }) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(mutation, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 300 }),
        async (mutations, piece) => {
          const bytes = Buffer.from(whole);
          for (const { at, bytes: put } of mutations) bytes.set(put.subarray(0, bytes.length - at), at);
          const error = await read(bytes, piece).then(
            () => undefined,
            (thrown: unknown) => thrown,
          );
          expect(error === undefined || hasCode(error, 'repository.damaged'), String(error)).toBe(true);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
