import { hash, randomFillSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { blockBytes, createKernel } from '../kernel/kernel.ts';
import { chunkerTables, chunkLimits, isIrreducible, randomPolynomial, scanCandidates, selectCuts } from './chunker.ts';

const kernel = createKernel();
const polynomial = 0x3da3358b4dc173n;
const tables = chunkerTables(polynomial);

/** The places a run list stands for. */
function places(runs: Uint32Array, offset = 0): number[] {
  const all: number[] = [];
  for (let i = 0; i < runs.length; i += 2) for (let at = runs[i]; at <= runs[i + 1]; at++) all.push(at + offset);
  return all;
}

function cut(data: Uint8Array, limits: { minBytes: number; maxBytes: number } = chunkLimits): number[] {
  const ends = selectCuts(scanCandidates(kernel, tables, data, 0), 0, data.byteLength, { ...limits, atEnd: true });
  return ends.map((end, i) => end - (ends[i - 1] ?? 0));
}

/** The definition, bit by bit: 64 bytes as one polynomial, reduced. */
function fingerprint(window: Uint8Array): bigint {
  let rest = BigInt(`0x${Buffer.from(window).toString('hex')}`);
  for (let bit = 511n; bit >= 53n; bit--) if ((rest >> bit) & 1n) rest ^= polynomial << (bit - 53n);
  return rest;
}

/** Rolls byte by byte as restic's chunker does, with numbers of 64 bits. The reference for everything that is fast. */
function naiveCandidates(data: Uint8Array): number[] {
  const reduce = new Array<bigint>(256);
  const leave = new Array<bigint>(256);
  for (let byte = 0; byte < 256; byte++) {
    const window = new Uint8Array(64);
    window[0] = byte;
    leave[byte] = fingerprint(window);
    let rest = BigInt(byte) << 53n;
    for (let bit = 60n; bit >= 53n; bit--) if ((rest >> bit) & 1n) rest ^= polynomial << (bit - 53n);
    reduce[byte] = rest | (BigInt(byte) << 53n);
  }
  const found: number[] = [];
  let digest = 0n;
  for (let i = 0; i < data.byteLength; i++) {
    if (i >= 64) digest ^= leave[data[i - 64]];
    digest = ((digest << 8n) | BigInt(data[i])) ^ reduce[Number(digest >> 45n)];
    if (i >= 63 && (digest & 0xfffffn) === 0n) found.push(i + 1);
  }
  return found;
}

/** Windows whose fingerprint ends in twenty zeros, other than of zeros: seeds of dense and of awkward data. */
function candidateWindow(): Uint8Array {
  const data = randomFillSync(new Uint8Array(8 << 20));
  const [first] = places(scanCandidates(kernel, tables, data, 0));
  return first === undefined ? candidateWindow() : data.slice(first - 64, first);
}

describe('candidates', () => {
  const window = candidateWindow();

  test('end windows whose fingerprint, by its definition, has its low 20 bits zero', () => {
    expect(fingerprint(window) & 0xfffffn).toBe(0n);
    expect(places(scanCandidates(kernel, tables, window, 0))).toEqual([64]);
    expect(places(scanCandidates(kernel, tables, window.subarray(0, 63), 0))).toEqual([]);
    expect(naiveCandidates(window)).toEqual([64]);
  });

  test('are found wherever the window lies, whatever the length, and not if one bit is other', () => {
    const data = new Uint8Array(2 * blockBytes + 200).fill(7);
    const background = naiveCandidates(data);
    for (const end of [
      64, 65, 66, 127, 128, 129, 16_383, 3840, 3841, 3904, 61_440, 61_441, 61_503, 61_504, 122_943, 122_944, 131_134,
      131_272,
    ]) {
      const copy = Uint8Array.from(data);
      copy.set(window, end - 64);
      for (const length of [end, end + 1, data.byteLength]) {
        const found = places(scanCandidates(kernel, tables, copy.subarray(0, length), 0));
        expect(found).toContain(end);
        expect(found.filter((at) => at <= end - 64 || at >= end + 64)).toEqual(
          background.filter((at) => at <= length && (at <= end - 64 || at >= end + 64)),
        );
      }
      copy[end - 32] ^= 1;
      expect(places(scanCandidates(kernel, tables, copy, 0))).not.toContain(end);
    }
  });

  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.nat(3000).map((length) => new Uint8Array(length)),
    fc.nat(300).map((length) => new Uint8Array(length).fill(0xff)),
    fc.nat(20).map((times) => Buffer.concat(Array<Uint8Array>(times).fill(window))),
    fc.constant(window),
  );

  test('are those of a byte-by-byte reference, on data with zeros and repetitions', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const data = Buffer.concat(pieces);
        expect(places(scanCandidates(kernel, tables, data, 0))).toEqual(naiveCandidates(data));
      }),
      { numRuns: 150 },
    );
  });

  test('are the same if the data comes in parts with context', () => {
    const stream = Buffer.concat([new Uint8Array(70_000), window, new Uint8Array(70_000).fill(1), window, window]);
    const expected = places(scanCandidates(kernel, tables, stream, 0));
    expect(expected).toEqual(naiveCandidates(stream));
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.nat(stream.byteLength), fc.nat(300)), { maxLength: 6 }),
        fc.integer({ min: 63, max: 80 }),
        (borders, contextBytes) => {
          const edges = [0, ...borders, stream.byteLength].sort((a, b) => a - b);
          const found = edges.slice(1).flatMap((to, i) => {
            const before = Math.min(contextBytes, edges[i]);
            return places(scanCandidates(kernel, tables, stream.subarray(edges[i] - before, to), before), edges[i]);
          });
          expect(found).toEqual(expected);
        },
      ),
    );
  });

  test('in zeros are one run, however long', () => {
    expect([...scanCandidates(kernel, tables, new Uint8Array(5 << 20), 0)]).toEqual([64, 5 << 20]);
    expect([...scanCandidates(kernel, tables, new Uint8Array((5 << 20) + 64), 64)]).toEqual([1, 5 << 20]);
  });

  test('may stand in every second place', () => {
    const data = new Uint8Array(3 * blockBytes).map((_, i) => (i % 2 === 0 ? 8 : 165));
    const found = places(scanCandidates(kernel, chunkerTables(0x34ed073ef63bb3n), data, 0));
    expect(found).toEqual(Array.from({ length: (3 * blockBytes) / 2 - 31 }, (_, i) => 64 + 2 * i));
  });

  test('of two polynomials do not mix in one kernel', () => {
    const data = randomFillSync(new Uint8Array(4 << 20));
    const first = places(scanCandidates(kernel, tables, data, 0));
    scanCandidates(kernel, chunkerTables(randomPolynomial()), data, 0);
    expect(places(scanCandidates(kernel, tables, data, 0))).toEqual(first);
  });
});

describe('cuts', () => {
  const { minBytes, maxBytes } = chunkLimits;
  const options = { minBytes: 100, maxBytes: 1000, atEnd: false };

  test.each([
    ['none without candidates below the maximum', [], 0, 999, []],
    ['the maximum without candidates', [], 0, 2500, [1000, 2000]],
    ['a candidate at the minimum', [100, 100], 0, 500, [100]],
    ['no candidate just before it', [99, 99], 0, 500, []],
    ['a candidate at the maximum', [1000, 1000], 0, 1000, [1000]],
    ['a candidate at the end of the data', [500, 500], 0, 500, [500]],
    ['each minimum within a run', [1, 350], 0, 400, [100, 200, 300]],
    ['a run that began earlier', [50, 120], 0, 400, [100]],
    ['from the start of the chunk', [150, 150, 260, 260], 100, 400, [260]],
    ['candidates before the start do not count', [50, 50, 150, 150], 60, 400, []],
  ])('%s', (_, candidates, start, length, expected) => {
    expect(selectCuts(candidates, start, length, options)).toEqual(expected);
  });

  test('at the end of the data the rest is a chunk, unless there is none', () => {
    expect(selectCuts([100, 100], 0, 130, { ...options, atEnd: true })).toEqual([100, 130]);
    expect(selectCuts([100, 100], 0, 100, { ...options, atEnd: true })).toEqual([100]);
    expect(selectCuts([], 0, 0, { ...options, atEnd: true })).toEqual([]);
    expect(selectCuts([], 0, 5, { ...options, atEnd: true })).toEqual([5]);
  });

  test('of zeros follow one another at the minimum', () => {
    expect(cut(new Uint8Array(4 * minBytes))).toEqual([minBytes, minBytes, minBytes, minBytes]);
    expect(cut(new Uint8Array(minBytes + 1))).toEqual([minBytes, 1]);
  });

  test('of data without candidates follow at the maximum', () => {
    const ones = new Uint8Array(2 * maxBytes + 5).fill(1);
    expect(scanCandidates(kernel, tables, ones, 0).length).toBe(0);
    expect(cut(ones)).toEqual([maxBytes, maxBytes, 5]);
  });
});

/**
 * 32 MiB from Go's math/rand with seed 23, which the chunker module's own tests cut: an additive lagged Fibonacci generator,
 * whose 607 numbers after seeding are the file.
 */
function pseudoRandom(): Uint8Array {
  const file = readFileSync(new URL('../../../test/vectors/go-math-rand-seed-23.bin', import.meta.url));
  const state = new BigUint64Array(Uint8Array.from(file).buffer);
  const words = new Uint32Array(8 << 20);
  for (let i = 0, tap = 606, feed = 333; i < words.length; i++) {
    state[feed] += state[tap];
    words[i] = Number((state[feed] >> 31n) & 0xffffffffn);
    tap = tap === 0 ? 606 : tap - 1;
    feed = feed === 0 ? 606 : feed - 1;
  }
  return new Uint8Array(words.buffer);
}

describe('the vectors of restic’s chunker (chunker_test.go)', () => {
  const data = pseudoRandom();

  test('lengths and hashes of the chunks of 32 MiB of pseudo-random data', () => {
    const lengths = cut(data);
    expect(lengths).toEqual([
      2163460, 643703, 1528956, 1955808, 2222372, 2538687, 609606, 1205738, 959742, 4036109, 1525894, 1352720, 811884,
      1282314, 1318021, 948640, 645464, 533758, 1128303, 800374, 2453512, 2651975, 237392,
    ]);
    expect(hash('sha256', data.subarray(0, 2163460))).toBe(
      '4b94cb2cf293855ea43bf766731c74969b91aa6bf3c078719aabdd19860d590d',
    );
    expect(hash('sha256', data.subarray(-237392))).toBe(
      'fcd567f5d866357a8e299fd5b2359bb2c8157c30395229c4e9b0a353944a7978',
    );
  });

  test('other limits', () => {
    expect(cut(data, { minBytes: 16 << 20, maxBytes: 32 << 20 })).toEqual([17864181, 15690251]);
  });

  test('the fingerprint at the first cut', () => {
    expect(fingerprint(data.subarray(2163460 - 64, 2163460))).toBe(0x000b98d4cdf00000n);
  });
});

describe('polynomials', () => {
  test('random ones are irreducible, of degree 53, and not always the same', () => {
    const some = Array.from({ length: 5 }, randomPolynomial);
    expect(new Set(some).size).toBe(5);
    for (const one of some) {
      expect(one.toString(2).length).toBe(54);
      expect(isIrreducible(one)).toBe(true);
    }
  });

  // polynomials_test.go
  test.each([
    [0x38f1e565e288dfn, false],
    [0x3da3358b4dc173n, true],
    [0x30a8295b9d5c91n, false],
    [0x255f4350b962cbn, false],
    [0x267f776110a235n, false],
    [0x2f4dae10d41227n, false],
    [0x2482734cacca49n, true],
    [0x312daf4b284899n, false],
    [0x29dfb6553d01d1n, false],
    [0x3548245eb26257n, false],
    [0x3199e7ef4211b3n, false],
    [0x362f39017dae8bn, false],
    [0x200d57aa6fdacbn, false],
    [0x35e0a4efa1d275n, false],
    [0x2ced55b026577fn, false],
    [0x260b012010893dn, false],
    [0x2df29cbcd59e9dn, false],
    [0x3f2ac7488bd429n, false],
    [0x3e5cb1711669fbn, false],
    [0x226d8de57a9959n, false],
    [0x3c8de80aaf5835n, false],
    [0x2026a59efb219bn, false],
    [0x39dfa4d13fb231n, false],
    [0x3143d0464b3299n, false],
  ])('%i is irreducible: %s', (one, expected) => {
    expect(isIrreducible(one)).toBe(expected);
  });

  test('small ones by heart', () => {
    expect([0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n, 0b1011n, 0b1101n, 0b1111n, 0b10101n].map(isIrreducible)).toEqual([
      false,
      false,
      true,
      true,
      false,
      false,
      false,
      true,
      true,
      true,
      false,
      false,
    ]);
  });

  test.each([0n, 1n, 0x3dn, 1n << 54n])('%i makes no tables', (one) => {
    expect(() => chunkerTables(one)).toThrow(expect.objectContaining({ code: 'repository.unsupported' }));
  });
});
