/**
 * Cutting by content exactly where restic's chunker cuts (module `chunker`: chunker.go, polynomials.go): a chunk ends where
 * the Rabin fingerprint of the last 64 bytes has its low 20 bits zero, not before 512 KiB, and at 8 MiB at the latest.
 *
 * restic begins to hash 64 bytes before the smallest end, so at every place where a chunk may end the fingerprint depends on
 * those 64 bytes alone. Hence two steps: candidates, which need no knowledge of where a chunk began and are found in parallel;
 * then the choice among them.
 *
 * Polynomials over GF(2) are bigints: bit i is the coefficient of x^i.
 */
import { randomBytes } from 'node:crypto';
import { HoldfastError } from '../../base/errors.ts';
import { type Kernel, windowBytes } from '../kernel/kernel.ts';

/** restic's limits. One mebibyte and a half is what random data is cut into on average. */
export const chunkLimits = { minBytes: 512 * 1024, maxBytes: 8 * 1024 * 1024 } as const;

/** A prime, so that Rabin's bound on collisions holds, and the largest one that leaves room for a byte in 64 bits. */
const degree = 53;

/** The tables of one polynomial in the form the kernel takes; they may be shared, and are not to be changed. */
export type ChunkerTables = Uint8Array;

/** Throws `repository.unsupported` if the polynomial is not of degree 53. A few microseconds. */
export function chunkerTables(polynomial: bigint): ChunkerTables {
  if (degreeOf(polynomial) !== degree) {
    throw new HoldfastError({
      code: 'repository.unsupported',
      message: `the repository's chunker polynomial ${polynomial.toString(16)} is not of degree ${degree}`,
      remedy: 'Its config is damaged or was made by an unknown program: compare it with a copy of the repository.',
    });
  }
  const reduce = linearTable((byte) => remainder(byte << BigInt(degree), polynomial) | (byte << BigInt(degree)));
  const leave = linearTable((byte) => remainder(byte << BigInt(8 * windowBytes), polynomial));
  return new Uint8Array(BigUint64Array.from([...reduce, ...leave]).buffer);
}

/**
 * Where chunks may end in `data`, of which the first `contextBytes` were seen before (64 suffice; fewer only at a stream's
 * beginning). Runs of places as pairs: first, last, both included; place n means: after n bytes beyond the context. Pairs,
 * since in zeros every place is a candidate. The lists of adjoining parts, made with context, follow one another.
 */
export function scanCandidates(
  kernel: Kernel,
  tables: ChunkerTables,
  data: Uint8Array,
  contextBytes: number,
): Uint32Array {
  return kernel.scan(tables, data, contextBytes);
}

/**
 * Where chunks end, in ascending order: from `startOfChunk` up to `length`, at most. `candidates` are runs as
 * `scanCandidates` gives them, on the same scale. `atEnd`: nothing comes after `length`, so the last chunk ends there; else
 * what lies behind the last end is the beginning of a chunk that is not complete. `minBytes` is at least 64.
 */
export function selectCuts(
  candidates: ArrayLike<number>,
  startOfChunk: number,
  length: number,
  { minBytes, maxBytes, atEnd }: { minBytes: number; maxBytes: number; atEnd: boolean },
): number[] {
  const ends: number[] = [];
  let start = startOfChunk;
  for (let run = 0; ; ) {
    const earliest = start + minBytes;
    while (run < candidates.length && candidates[run + 1] < earliest) run += 2;
    const candidate = run < candidates.length ? Math.max(candidates[run], earliest) : Number.POSITIVE_INFINITY;
    const end = Math.min(candidate, start + maxBytes);
    if (end > length) break;
    ends.push(end);
    start = end;
  }
  if (atEnd && start < length) ends.push(length);
  return ends;
}

/** A random irreducible polynomial of degree 53, for a new repository. Takes milliseconds. */
export function randomPolynomial(): bigint {
  // One in 26 of those with a constant term is irreducible.
  for (;;) {
    const low = randomBytes(8).readBigUInt64LE() & ((1n << BigInt(degree)) - 1n);
    const polynomial = (1n << BigInt(degree)) | low | 1n;
    if (isIrreducible(polynomial)) return polynomial;
  }
}

/** Ben-Or's test: no factor of degree i divides x^(2^i) − x, for any i up to half the degree. */
export function isIrreducible(polynomial: bigint): boolean {
  let power = 2n;
  for (let i = 1; i <= degreeOf(polynomial) / 2; i++) {
    power = remainder(square(power), polynomial);
    if (greatestCommonDivisor(polynomial, power ^ 2n) !== 1n) return false;
  }
  return degreeOf(polynomial) > 0;
}

/** −1 for zero. */
function degreeOf(polynomial: bigint): number {
  return polynomial === 0n ? -1 : polynomial.toString(2).length - 1;
}

function remainder(dividend: bigint, divisor: bigint): bigint {
  const divisorDegree = degreeOf(divisor);
  let rest = dividend;
  for (let above = degreeOf(rest) - divisorDegree; above >= 0; above = degreeOf(rest) - divisorDegree) {
    rest ^= divisor << BigInt(above);
  }
  return rest;
}

/** Over GF(2) the square of a sum is the sum of the squares: bit i moves to bit 2i. */
function square(polynomial: bigint): bigint {
  return BigInt(`0b${[...polynomial.toString(2)].join('0')}`);
}

function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  let [larger, smaller] = [a, b];
  while (smaller !== 0n) [larger, smaller] = [smaller, remainder(larger, smaller)];
  return larger;
}

/** A linear map's values for all bytes, from its values for the eight bits. */
function linearTable(map: (byte: bigint) => bigint): bigint[] {
  const bits = Array.from({ length: 8 }, (_, bit) => map(1n << BigInt(bit)));
  return Array.from({ length: 256 }, (_, byte) =>
    bits.reduce((sum, value, bit) => ((byte >> bit) & 1 ? sum ^ value : sum), 0n),
  );
}
