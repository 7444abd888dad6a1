import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodePackHeader, encodePackHeader, headerLength, type PackEntry, parseTail } from './pack-header.ts';

const damaged = expect.objectContaining({ code: 'repository.damaged' });

const blob = fc.record({
  type: fc.constantFrom('data' as const, 'tree' as const),
  id: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  length: fc.integer({ min: 32, max: 2 ** 26 }),
  uncompressedLength: fc.oneof(fc.constant(0), fc.nat({ max: 2 ** 32 - 1 })),
});
/** Blobs as they lie in a pack. */
const anyEntries: fc.Arbitrary<PackEntry[]> = fc.array(blob, { maxLength: 40 }).map((blobs) => {
  let end = 0;
  return blobs.map((one) => {
    const offset = end;
    end += one.length;
    return { ...one, offset };
  });
});

const plain = (entry: PackEntry) => ({ ...entry, id: Buffer.from(entry.id).toString('hex') });
const entry: PackEntry = { type: 'data', id: new Uint8Array(32).fill(7), offset: 0, length: 40, uncompressedLength: 0 };

/** A header of one blob with some bytes changed. */
function header(changes: Record<number, number>, from: Partial<PackEntry> = {}): Uint8Array {
  const bytes = encodePackHeader([{ ...entry, ...from }]);
  for (const [at, byte] of Object.entries(changes)) bytes[Number(at)] = byte;
  return bytes;
}

describe('the header of a pack', () => {
  test('is read as what was written, and fills the pack', () => {
    fc.assert(
      fc.property(anyEntries, (entries) => {
        const bytes = encodePackHeader(entries);
        const bodyBytes = entries.reduce((sum, one) => sum + one.length, 0);
        expect(bytes.byteLength).toBe(headerLength(entries));
        expect(decodePackHeader(bytes, bodyBytes).map(plain)).toEqual(entries.map(plain));
        expect(() => decodePackHeader(bytes, bodyBytes + 1)).toThrow(damaged);
      }),
    );
  });

  test('has the bytes of design.rst', () => {
    const compressed: PackEntry = { ...entry, type: 'tree', offset: 40, length: 258, uncompressedLength: 65_536 };
    const hex = Buffer.from(encodePackHeader([entry, compressed])).toString('hex');
    expect(hex).toBe(`0028000000${'07'.repeat(32)}030201000000000100${'07'.repeat(32)}`);
  });

  test.each([
    ['ends within an entry', header({}).subarray(0, 36)],
    ['ends within a compressed entry', header({}, { uncompressedLength: 1 }).subarray(0, 40)],
    ['has a blob shorter than its seal', header({ 1: 31 })],
    ['has a compressed blob of nothing', header({ 5: 0 }, { uncompressedLength: 1 })],
    ['is longer than a pack', Buffer.concat([header({ 4: 255 }), header({ 4: 255 })])],
  ])('is damaged if it %s', (_, bytes) => {
    expect(() => decodePackHeader(bytes)).toThrow(damaged);
  });

  test('is not understood with other types', () => {
    for (const type of [4, 255]) {
      const unsupported = expect.objectContaining({ code: 'repository.unsupported' });
      expect(() => decodePackHeader(header({ 0: type }))).toThrow(unsupported);
    }
  });

  test.each([
    ['leave a gap', { offset: 1 }],
    ['are shorter than their seal', { length: 31 }],
    ['are longer than a pack', { length: 2 ** 32 }],
    ['have a length that is no whole number of 32 bits', { uncompressedLength: 2 ** 32 }],
    ['have no id', { id: new Uint8Array(31) }],
  ])('is not written for blobs that %s', (_, wrong) => {
    expect(() => encodePackHeader([{ ...entry, ...wrong }])).toThrow(expect.objectContaining({ code: 'internal' }));
  });
});

describe('the tail of a pack', () => {
  function tail(headerBytes: number, before = 100): Buffer {
    const bytes = Buffer.alloc(before + 4, 1);
    bytes.writeUInt32LE(headerBytes, before);
    return bytes;
  }

  test('gives the sealed header if it holds it all', () => {
    const found = parseTail(tail(69), 1000);
    expect(found).toMatchObject({ headerBytes: 69, bodyBytes: 1000 - 69 - 4 });
    expect(found.sealedHeader?.byteLength).toBe(69);
    expect(parseTail(tail(100), 1000).sealedHeader?.byteLength).toBe(100);
    expect(parseTail(tail(101), 1000).sealedHeader).toBeUndefined();
    expect(parseTail(tail(69, 0), 1000).sealedHeader).toBeUndefined();
  });

  test.each([
    ['without a header', 0, 1000],
    ['with a header shorter than its seal', 31, 1000],
    ['with a header larger than itself', 997, 1000],
    ['with a header larger than restic reads', (16 << 20) + 1, 2 ** 30],
    ['too short for one blob', 36, 72],
  ])('of a pack %s is damaged', (_, headerBytes, packBytes) => {
    expect(() => parseTail(tail(headerBytes, 40), packBytes)).toThrow(damaged);
  });

  test('of less than a length is damaged', () => {
    expect(() => parseTail(Buffer.alloc(3), 1000)).toThrow(damaged);
    expect(() => parseTail(Buffer.alloc(2000), 1000)).toThrow(damaged);
  });
});
