/**
 * Rabin fingerprints over a window of 64 bytes, as restic's chunker computes them: the window's bytes are the coefficients
 * of a polynomial over GF(2), reduced modulo the repository's polynomial of degree 53. Once 64 bytes are in, the digest
 * depends on them alone, so places where a chunk may end are found without knowing where it began, in sixteen lanes at once.
 *
 * A byte that enters costs two look-ups: what the byte pushed out at the top reduces to, and what the byte leaving the window
 * takes away. A lane is one byte of a vector, and a digest is spread over seven vectors; a look-up is linear, so it is the sum
 * of two look-ups by half a byte, each of which is one byte shuffle per vector.
 */
import { input } from './memory';

/** A place is a candidate if these bits of the digest are zero: one in 2^20 places of random data. */
const CUT_MASK: u32 = 0xfffff;
const WINDOW: usize = 64;
/** Bits above these take part in the reduction. */
const SHIFT: u64 = 53 - 8;
const LANES: usize = 16;

/** 2 × 256 u64, filled by the host: what a byte at the top reduces to (with the byte itself), what a leaving byte takes away. */
export const tables: usize = memory.data(4096, 64);
const reduceTable = tables;
const leaveTable = tables + 2048;

/**
 * The same for half bytes, as vectors of 16 bytes: for each of the seven bytes of a digest the reduction by the lower and by
 * the upper half, then likewise what leaves. In this form digests lie three bits higher, so that the top byte is a whole one.
 */
const halves: usize = memory.data(28 * 16, 64);

/** One bit for each byte of the input: a chunk may end behind it. Written by `scan` if it says so. */
export const found: usize = memory.data(0x2000, 64);

/** The last 128 columns: byte t of each lane. A column leaves the window 64 columns later. */
const columns: usize = memory.data(128 * 16, 64);
/** For the sixteen columns of a tile: a lane that is zero is a candidate. */
const marks: usize = memory.data(16 * 16, 64);

/** To be called when `tables` changed. */
export function prepareTables(): void {
  for (let byte: usize = 0; byte < 7; byte++) {
    const bits = (<u64>byte) << 3;
    for (let half: usize = 0; half < 16; half++) {
      const at = halves + byte * 64 + half;
      store<u8>(at, (load<u64>(reduceTable + (half << 3)) << 3) >> bits);
      store<u8>(at, (load<u64>(reduceTable + (half << 7)) << 3) >> bits, 16);
      store<u8>(at, (load<u64>(leaveTable + (half << 3)) << 3) >> bits, 32);
      store<u8>(at, (load<u64>(leaveTable + (half << 7)) << 3) >> bits, 48);
    }
  }
}

/**
 * Finds every byte of the `length` at `input` behind which a chunk may end; 64 bytes of context lie before them. If there
 * is none, returns false and leaves `found` undefined, else its bits tell.
 */
export function scan(length: usize): bool {
  // A lane is a stretch of whole tiles of sixteen bytes; what remains is less than one tile of all lanes.
  const stretch = (length >> 8) << 4;
  let any = false;
  if (stretch > 0) any = scanLanes(stretch);
  const rest = stretch * LANES;
  if (scanRest(rest, length, any)) any = true;
  return any;
}

/** The part that fills no tile, byte by byte. `cleared`: bits before `from` are written already. */
function scanRest(from: usize, length: usize, cleared: bool): bool {
  let any = cleared;
  let digest: u64 = 0;
  for (let at = input + from - WINDOW; at < input + from; at++) digest = append(digest, load<u8>(at));
  for (let place = from; place < length; place++) {
    const at = input + place;
    digest = append(digest, load<u8>(at)) ^ load<u64>(leaveTable + (<usize>load<u8>(at - WINDOW) << 3));
    if ((<u32>digest & CUT_MASK) == 0) {
      if (!any) memory.fill(found, 0, 0x2000);
      any = true;
      store<u8>(found + (place >> 3), load<u8>(found + (place >> 3)) | (1 << (<u8>place & 7)));
    }
  }
  return any;
}

// @ts-ignore: decorator
@inline
function append(digest: u64, byte: u64): u64 {
  return ((digest << 8) | byte) ^ load<u64>(reduceTable + (<usize>(digest >> SHIFT) << 3));
}

/** What half bytes add to byte `byte` of the digests: look-ups by the byte at the top and by the leaving byte. */
// @ts-ignore: decorator
@inline
function lookUp(byte: usize, topLow: v128, topHigh: v128, leaveLow: v128, leaveHigh: v128): v128 {
  const at = halves + byte * 64;
  return v128.xor(
    v128.xor(i8x16.relaxed_swizzle(v128.load(at), topLow), i8x16.relaxed_swizzle(v128.load(at, 16), topHigh)),
    v128.xor(i8x16.relaxed_swizzle(v128.load(at, 32), leaveLow), i8x16.relaxed_swizzle(v128.load(at, 48), leaveHigh)),
  );
}

/** Sixteen lanes of `stretch` bytes each, one after another; each begins 64 bytes early to fill its window. */
function scanLanes(stretch: usize): bool {
  const nibble = i8x16.splat(15);
  memory.fill(columns, 0, 128 * 16);
  let any = false;
  let d0 = i8x16.splat(0);
  let d1 = d0;
  let d2 = d0;
  let d3 = d0;
  let d4 = d0;
  let d5 = d0;
  let d6 = d0;
  for (let tile: usize = 0; tile < stretch + WINDOW; tile += 16) {
    transpose(input - WINDOW + tile, stretch, columns + ((tile & 127) << 4));
    const entering = columns + ((tile & 127) << 4);
    const leaving = columns + (((tile + WINDOW) & 127) << 4);
    let least = i8x16.splat(-1);
    for (let i: usize = 0; i < 256; i += 16) {
      const enter = v128.load(entering + i);
      const leave = v128.load(leaving + i);
      const leaveLow = v128.and(leave, nibble);
      const leaveHigh = v128.and(i16x8.shr_u(leave, 4), nibble);
      const topLow = v128.and(d6, nibble);
      const topHigh = v128.and(i16x8.shr_u(d6, 4), nibble);
      d6 = v128.xor(d5, lookUp(6, topLow, topHigh, leaveLow, leaveHigh));
      d5 = v128.xor(d4, lookUp(5, topLow, topHigh, leaveLow, leaveHigh));
      d4 = v128.xor(d3, lookUp(4, topLow, topHigh, leaveLow, leaveHigh));
      d3 = v128.xor(d2, lookUp(3, topLow, topHigh, leaveLow, leaveHigh));
      d2 = v128.xor(d1, lookUp(2, topLow, topHigh, leaveLow, leaveHigh));
      // The entering byte, three bits higher: its upper three bits go to the second byte.
      const enterHigh = v128.and(i16x8.shr_u(enter, 5), i8x16.splat(7));
      const enterLow = v128.and(i16x8.shl(enter, 3), i8x16.splat(-8));
      d1 = v128.xor(v128.xor(d0, enterHigh), lookUp(1, topLow, topHigh, leaveLow, leaveHigh));
      d0 = v128.xor(enterLow, lookUp(0, topLow, topHigh, leaveLow, leaveHigh));
      const mark = v128.or(v128.or(d0, d1), v128.and(d2, i8x16.splat(0x7f)));
      v128.store(marks + i, mark);
      least = i8x16.min_u(least, mark);
    }
    if (tile >= WINDOW && !i8x16.all_true(least)) {
      if (!any) memory.fill(found, 0, 0x2000);
      any = true;
      record(tile - WINDOW, stretch);
    }
  }
  return any;
}

/** Sets the bits of a tile: the places from `at` on of each lane. */
function record(at: usize, stretch: usize): void {
  for (let i: usize = 0; i < 16; i++) {
    let lanes = i8x16.bitmask(i8x16.eq(v128.load(marks + (i << 4)), i8x16.splat(0)));
    for (; lanes != 0; lanes &= lanes - 1) {
      const bits = found + ((<usize>ctz(lanes) * stretch + at) >> 3);
      store<u16>(bits, load<u16>(bits) | (1 << (<u16>i)));
    }
  }
}

const turned: usize = memory.data(256, 64);

/** Sixteen bytes from each of sixteen rows `stride` apart become sixteen columns. */
function transpose(from: usize, stride: usize, to: usize): void {
  // Each round interleaves every row with the one 8 rows below; after four, row and column have changed places.
  interleave(from, stride, turned);
  interleave(turned, 16, to);
  interleave(to, 16, turned);
  interleave(turned, 16, to);
}

// @ts-ignore: decorator
@inline
function interleave(from: usize, stride: usize, to: usize): void {
  for (let i: usize = 0; i < 8; i++) {
    const a = v128.load(from);
    const b = v128.load(from + 8 * stride);
    v128.store(to, v128.shuffle<u8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
    v128.store(to, v128.shuffle<u8>(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31), 16);
    from += stride;
    to += 32;
  }
}
