import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeIndexFile, encodeIndexFile, type PackBlobs } from './index-file.ts';

const damaged = expect.objectContaining({ code: 'repository.damaged' });
const id = fc.uint8Array({ minLength: 32, maxLength: 32 });
const u32 = fc.nat({ max: 2 ** 32 - 1 });
const anyPacks: fc.Arbitrary<PackBlobs[]> = fc.array(
  fc.record({
    id: id.map((bytes) => Buffer.from(bytes).toString('hex')),
    entries: fc.array(
      fc.record({
        type: fc.constantFrom('data' as const, 'tree' as const),
        id,
        offset: u32,
        length: fc.integer({ min: 32, max: 2 ** 32 - 1 }),
        uncompressedLength: u32,
      }),
      { maxLength: 5 },
    ),
  }),
  { maxLength: 5 },
);

function packsOf(json: string | Uint8Array): PackBlobs[] {
  const packs: PackBlobs[] = [];
  decodeIndexFile(Buffer.from(json as Uint8Array), (packId, entries) => packs.push({ id: packId, entries }));
  return packs;
}

const plain = ({ id: packId, entries }: PackBlobs) => ({
  packId,
  entries: entries.map((entry) => ({ ...entry, id: Buffer.from(entry.id).toString('hex') })),
});

const hex = 'ab'.repeat(32);
const blob = `{"id":"${hex}","type":"data","offset":0,"length":38}`;

describe('an index file', () => {
  test('is read as what was written', () => {
    fc.assert(
      fc.property(anyPacks, (packs) => {
        const bytes = encodeIndexFile(packs);
        expect(packsOf(bytes).map(plain)).toEqual(packs.map(plain));
        expect(() => JSON.parse(Buffer.from(bytes).toString())).not.toThrow();
      }),
    );
  });

  test('of old programs is read, whatever it supersedes', () => {
    const json = ` { "supersedes": ["${hex}"], "packs": [ { "blobs": [ ${blob} ], "id": "${hex}", "new": {} } ] } `;
    expect(packsOf(json).map(plain)).toEqual([
      { packId: hex, entries: [{ id: hex, type: 'data', offset: 0, length: 38, uncompressedLength: 0 }] },
    ]);
    expect(packsOf('{"packs":null}')).toEqual([]);
    expect(packsOf('{}')).toEqual([]);
  });

  test('of 50,000 blobs gives each pack with its blobs', () => {
    const entries = Array.from({ length: 1000 }, (_, i) => ({
      ...{
        type: 'data' as const,
        id: new Uint8Array(32).fill(i),
        offset: i * 100,
        length: 100,
        uncompressedLength: 200,
      },
    }));
    const packs = Array.from({ length: 50 }, (_, i) => ({ id: i.toString(16).padStart(64, '0'), entries }));
    expect(packsOf(encodeIndexFile(packs)).map((pack) => [pack.id, pack.entries.length])).toEqual(
      packs.map((pack) => [pack.id, 1000]),
    );
  });

  test('with blobs of another type is not understood', () => {
    const json = `{"packs":[{"id":"${hex}","blobs":[${blob.replace('data', 'invalid')}]}]}`;
    expect(() => packsOf(json)).toThrow(expect.objectContaining({ code: 'repository.unsupported' }));
  });

  test.each([
    ['a list', '[]'],
    ['without an end', `{"packs":[{"id":"${hex}","blobs":[${blob}]}]`],
    ['with something behind', '{"packs":[]}{}'],
    ['with a pack without id', `{"packs":[{"blobs":[${blob}]}]}`],
    ['with a blob without id', `{"packs":[{"id":"${hex}","blobs":[{"type":"data","offset":0,"length":38}]}]}`],
    ['with a blob without type', `{"packs":[{"id":"${hex}","blobs":[${blob.replace('"type":"data",', '')}]}]}`],
    ['with a blob shorter than its seal', `{"packs":[{"id":"${hex}","blobs":[${blob.replace('38', '31')}]}]}`],
    ['with an offset beyond 32 bits', `{"packs":[{"id":"${hex}","blobs":[${blob.replace(':0', ':4294967296')}]}]}`],
    ['with a length that is a text', `{"packs":[{"id":"${hex}","blobs":[${blob.replace('38', '"38"')}]}]}`],
    ['with a short id', `{"packs":[{"id":"${hex}","blobs":[${blob.replace('abab', 'ab')}]}]}`],
  ])('%s is damaged', (_, json) => {
    expect(() => packsOf(json)).toThrow(damaged);
  });
});
