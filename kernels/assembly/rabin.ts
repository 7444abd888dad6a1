/**
 * Rabin fingerprints over a window of 64 bytes, as restic's chunker computes them: the window's bytes are the coefficients
 * of a polynomial over GF(2), reduced modulo the repository's polynomial of degree 53. Once 64 bytes are in, the digest
 * depends on them alone, so places where a chunk may end are found without knowing where it began, in several lanes at once.
 */
import { input } from './memory';

/** A place is a candidate if these bits of the digest are zero: one in 2^20 places of random data. */
const CUT_MASK: u32 = 0xfffff;
const WINDOW: usize = 64;
/** Bits above these take part in the reduction. */
const SHIFT: u64 = 53 - 8;

/** 256 u64 each, filled by the host: what a byte at the top reduces to, and what a byte leaving the window takes away. */
export const tables: usize = memory.data(4096, 64);
const modTable = tables;
const outTable = tables + 2048;

/**
 * Four areas of runs of candidates: first, last (u32 each, both included). Two runs have a gap between them, so an area for
 * a quarter of the input can never overflow.
 */
export const found: usize = memory.data(0x10010 * 4, 64);
export const AREA_BYTES: usize = 0x10010;

/** How many runs each area holds: four u32. */
export const counts: usize = memory.data(16, 16);

// @ts-ignore: decorator
@inline
function append(digest: u64, byte: u64): u64 {
  return ((digest << 8) | byte) ^ load<u64>(modTable + (<usize>(digest >> SHIFT) << 3));
}

// @ts-ignore: decorator
@inline
function step(digest: u64, at: usize): u64 {
  return append(digest, load<u8>(at)) ^ load<u64>(outTable + (<usize>load<u8>(at - WINDOW) << 3));
}

/** Digest of the 64 bytes before `at`. */
function digestBefore(at: usize): u64 {
  let digest: u64 = 0;
  for (let from = at - WINDOW; from < at; from++) digest = append(digest, load<u8>(from));
  return digest;
}

/** Adds place `at` to the runs that end at `end`; returns the new end. Places come in ascending order. */
function record(area: usize, end: usize, at: u32): usize {
  if (end > area && load<u32>(end - 4) == at - 1) {
    store<u32>(end - 4, at);
    return end;
  }
  store<u32>(end, at);
  store<u32>(end, at, 4);
  return end + 8;
}

/**
 * Finds every place in the `length` bytes at `input` after which the digest has its cut bits zero; 64 bytes of context lie
 * before them. Places count from 1: the bytes up to and including the one the window ends with.
 */
export function scan(length: usize): void {
  const quarter = length >> 2;
  const a1 = found + AREA_BYTES;
  const a2 = a1 + AREA_BYTES;
  const a3 = a2 + AREA_BYTES;
  let e0 = found;
  let e1 = a1;
  let e2 = a2;
  let e3 = a3;
  let d0 = digestBefore(input);
  let d1 = digestBefore(input + quarter);
  let d2 = digestBefore(input + 2 * quarter);
  let d3 = digestBefore(input + 3 * quarter);
  let at: usize = input;
  for (const end = input + quarter; at < end; ) {
    d0 = step(d0, at);
    d1 = step(d1, at + quarter);
    d2 = step(d2, at + 2 * quarter);
    d3 = step(d3, at + 3 * quarter);
    at++;
    // Below zero exactly if one of the four is zero.
    const any = ((<u32>d0 & CUT_MASK) - 1) | ((<u32>d1 & CUT_MASK) - 1) | ((<u32>d2 & CUT_MASK) - 1) | ((<u32>d3 & CUT_MASK) - 1);
    if (<i32>any < 0) {
      const place = <u32>(at - input);
      if ((<u32>d0 & CUT_MASK) == 0) e0 = record(found, e0, place);
      if ((<u32>d1 & CUT_MASK) == 0) e1 = record(a1, e1, place + <u32>quarter);
      if ((<u32>d2 & CUT_MASK) == 0) e2 = record(a2, e2, place + 2 * <u32>quarter);
      if ((<u32>d3 & CUT_MASK) == 0) e3 = record(a3, e3, place + 3 * <u32>quarter);
    }
  }
  for (let place: u32 = 4 * <u32>quarter; place < <u32>length; ) {
    d3 = step(d3, input + place);
    place++;
    if ((<u32>d3 & CUT_MASK) == 0) e3 = record(a3, e3, place);
  }
  store<u32>(counts, <u32>(e0 - found) >> 3);
  store<u32>(counts, <u32>(e1 - a1) >> 3, 4);
  store<u32>(counts, <u32>(e2 - a2) >> 3, 8);
  store<u32>(counts, <u32>(e3 - a3) >> 3, 12);
}
