/**
 * Poly1305 (RFC 8439 §2.5) with limbs of 26 bits: products of two limbs and sums of five such products fit 64 bits.
 * Use: start, then blocks on whole 16-byte blocks, then finish with what remains.
 */

const MASK: u64 = 0x3ffffff;

/** The powers r, r², r³, r⁴ of the key, five limbs of u64 each. */
const powers: usize = memory.data(4 * 40, 16);
/** The sum so far: five limbs of u64. */
const sum: usize = memory.data(40, 16);
/** What the lanes are multiplied by, see `absorbFours`: nine vectors for all groups but the last, nine for the last. */
const factors: usize = memory.data(2 * 9 * 16, 16);
/** Whether powers above r, and factors, are made for this key. */
let fourfold: bool = false;
/** Fewer bytes are not worth making the powers for. */
const FOURFOLD_BYTES: usize = 512;

/** Begins a message. `key` points at the 16 bytes of r, which are masked here. */
export function polyStart(key: usize): void {
  store<u64>(powers, load<u32>(key) & 0x3ffffff);
  store<u64>(powers, (load<u32>(key, 3) >> 2) & 0x3ffff03, 8);
  store<u64>(powers, (load<u32>(key, 6) >> 4) & 0x3ffc0ff, 16);
  store<u64>(powers, (load<u32>(key, 9) >> 6) & 0x3f03fff, 24);
  store<u64>(powers, (load<u32>(key, 12) >> 8) & 0x00fffff, 32);
  memory.fill(sum, 0, 40);
  fourfold = false;
}

/** Takes `length` bytes at `from`; `length` is a multiple of 16. */
export function polyBlocks(from: usize, length: usize): void {
  let fours: usize = 0;
  if (length >= FOURFOLD_BYTES) {
    if (!fourfold) prepareFours();
    fours = length & ~63;
    absorbFours(from, fours);
  }
  absorb(from + fours, length - fours, 1 << 24);
}

/** Takes the last `length` (0 to 15) bytes at `from`, which has room for 16, and writes the tag: h + s to `tag`. */
export function polyFinish(from: usize, length: usize, s: usize, tag: usize): void {
  if (length > 0) {
    store<u8>(from + length, 1);
    memory.fill(from + length + 1, 0, 15 - length);
    absorb(from, 16, 0);
  }
  writeTag(s, tag);
}

/** One block after another: sum = (sum + block) · r. */
function absorb(from: usize, length: usize, highBit: u64): void {
  const end = from + length;
  for (let at = from; at < end; at += 16) {
    const low = load<u64>(at);
    const high = load<u64>(at, 8);
    store<u64>(sum, load<u64>(sum) + (low & MASK));
    store<u64>(sum, load<u64>(sum, 8) + ((low >> 26) & MASK), 8);
    store<u64>(sum, load<u64>(sum, 16) + (((low >> 52) | (high << 12)) & MASK), 16);
    store<u64>(sum, load<u64>(sum, 24) + ((high >> 14) & MASK), 24);
    store<u64>(sum, load<u64>(sum, 32) + ((high >> 40) | highBit), 32);
    multiply(sum, powers, sum);
  }
}

/** to = a · b. Limbs of the result are below 2^26, but the second, which is at most a little above. */
function multiply(a: usize, b: usize, to: usize): void {
  const a0 = load<u64>(a);
  const a1 = load<u64>(a, 8);
  const a2 = load<u64>(a, 16);
  const a3 = load<u64>(a, 24);
  const a4 = load<u64>(a, 32);
  const b0 = load<u64>(b);
  const b1 = load<u64>(b, 8);
  const b2 = load<u64>(b, 16);
  const b3 = load<u64>(b, 24);
  const b4 = load<u64>(b, 32);
  // 2^130 = 5 modulo p: what overflows the top comes back five times at the bottom.
  const c1 = b1 * 5;
  const c2 = b2 * 5;
  const c3 = b3 * 5;
  const c4 = b4 * 5;
  const d0 = a0 * b0 + a1 * c4 + a2 * c3 + a3 * c2 + a4 * c1;
  const d1 = a0 * b1 + a1 * b0 + a2 * c4 + a3 * c3 + a4 * c2 + (d0 >> 26);
  const d2 = a0 * b2 + a1 * b1 + a2 * b0 + a3 * c4 + a4 * c3 + (d1 >> 26);
  const d3 = a0 * b3 + a1 * b2 + a2 * b1 + a3 * b0 + a4 * c4 + (d2 >> 26);
  const d4 = a0 * b4 + a1 * b3 + a2 * b2 + a3 * b1 + a4 * b0 + (d3 >> 26);
  const e0 = (d0 & MASK) + (d4 >> 26) * 5;
  store<u64>(to, e0 & MASK);
  store<u64>(to, (d1 & MASK) + (e0 >> 26), 8);
  store<u64>(to, d2 & MASK, 16);
  store<u64>(to, d3 & MASK, 24);
  store<u64>(to, d4 & MASK, 32);
}

/** Makes the powers of r, and of them the factors: limbs 0 to 4, then limbs 1 to 4 five times, for each of four lanes. */
function prepareFours(): void {
  for (let i: usize = 1; i < 4; i++) multiply(powers + (i - 1) * 40, powers, powers + i * 40);
  for (let lane: usize = 0; lane < 4; lane++) {
    for (let limb: usize = 0; limb < 5; limb++) {
      const r4 = load<u32>(powers + 3 * 40 + limb * 8);
      const own = load<u32>(powers + (3 - lane) * 40 + limb * 8);
      const at = factors + lane * 4 + limb * 16;
      store<u32>(at, r4);
      store<u32>(at, own, 144);
      if (limb > 0) {
        store<u32>(at, r4 * 5, 64);
        store<u32>(at, own * 5, 64 + 144);
      }
    }
  }
  fourfold = true;
}

/**
 * Four blocks at a time, each in a lane of its own: every lane is multiplied by r⁴ from group to group, after the last one by
 * r⁴, r³, r² and r, so that the lanes' total is what `absorb` would have made. `length` is a positive multiple of 64.
 */
function absorbFours(from: usize, length: usize): void {
  const mask = i32x4.splat(0x3ffffff);
  const mask64 = i64x2.splat(0x3ffffff);
  const highBit = i32x4.splat(1 << 24);
  // The sum so far belongs to the first block.
  let h0 = i32x4.replace_lane(i32x4.splat(0), 0, load<i32>(sum));
  let h1 = i32x4.replace_lane(i32x4.splat(0), 0, load<i32>(sum, 8));
  let h2 = i32x4.replace_lane(i32x4.splat(0), 0, load<i32>(sum, 16));
  let h3 = i32x4.replace_lane(i32x4.splat(0), 0, load<i32>(sum, 24));
  let h4 = i32x4.replace_lane(i32x4.splat(0), 0, load<i32>(sum, 32));
  const end = from + length;
  let by = factors;
  for (let at = from; at < end; ) {
    // Words of four blocks, turned so that word i of each is in vector i.
    const block0 = v128.load(at);
    const block1 = v128.load(at, 16);
    const block2 = v128.load(at, 32);
    const block3 = v128.load(at, 48);
    at += 64;
    if (at == end) by = factors + 144;
    const low01 = v128.shuffle<i32>(block0, block1, 0, 4, 1, 5);
    const low23 = v128.shuffle<i32>(block2, block3, 0, 4, 1, 5);
    const high01 = v128.shuffle<i32>(block0, block1, 2, 6, 3, 7);
    const high23 = v128.shuffle<i32>(block2, block3, 2, 6, 3, 7);
    const w0 = v128.shuffle<i64>(low01, low23, 0, 2);
    const w1 = v128.shuffle<i64>(low01, low23, 1, 3);
    const w2 = v128.shuffle<i64>(high01, high23, 0, 2);
    const w3 = v128.shuffle<i64>(high01, high23, 1, 3);
    h0 = i32x4.add(h0, v128.and(w0, mask));
    h1 = i32x4.add(h1, v128.and(v128.or(i32x4.shr_u(w0, 26), i32x4.shl(w1, 6)), mask));
    h2 = i32x4.add(h2, v128.and(v128.or(i32x4.shr_u(w1, 20), i32x4.shl(w2, 12)), mask));
    h3 = i32x4.add(h3, v128.and(v128.or(i32x4.shr_u(w2, 14), i32x4.shl(w3, 18)), mask));
    h4 = i32x4.add(h4, v128.or(i32x4.shr_u(w3, 8), highBit));

    const r0 = v128.load(by);
    const r1 = v128.load(by, 16);
    const r2 = v128.load(by, 32);
    const r3 = v128.load(by, 48);
    const r4 = v128.load(by, 64);
    const s1 = v128.load(by, 80);
    const s2 = v128.load(by, 96);
    const s3 = v128.load(by, 112);
    const s4 = v128.load(by, 128);

    let a0 = low5(h0, r0, h1, s4, h2, s3, h3, s2, h4, s1);
    let a1 = low5(h0, r1, h1, r0, h2, s4, h3, s3, h4, s2);
    let a2 = low5(h0, r2, h1, r1, h2, r0, h3, s4, h4, s3);
    let a3 = low5(h0, r3, h1, r2, h2, r1, h3, r0, h4, s4);
    let a4 = low5(h0, r4, h1, r3, h2, r2, h3, r1, h4, r0);
    let b0 = high5(h0, r0, h1, s4, h2, s3, h3, s2, h4, s1);
    let b1 = high5(h0, r1, h1, r0, h2, s4, h3, s3, h4, s2);
    let b2 = high5(h0, r2, h1, r1, h2, r0, h3, s4, h4, s3);
    let b3 = high5(h0, r3, h1, r2, h2, r1, h3, r0, h4, s4);
    let b4 = high5(h0, r4, h1, r3, h2, r2, h3, r1, h4, r0);

    // Two chains of carries side by side: 0 → 1 → 2 → 3 and 3 → 4 → 0 → 1, then 3 → 4.
    let c = i64x2.shr_u(a0, 26);
    let d = i64x2.shr_u(b0, 26);
    let e = i64x2.shr_u(a3, 26);
    let f = i64x2.shr_u(b3, 26);
    a0 = v128.and(a0, mask64);
    b0 = v128.and(b0, mask64);
    a3 = v128.and(a3, mask64);
    b3 = v128.and(b3, mask64);
    a1 = i64x2.add(a1, c);
    b1 = i64x2.add(b1, d);
    a4 = i64x2.add(a4, e);
    b4 = i64x2.add(b4, f);
    c = i64x2.shr_u(a1, 26);
    d = i64x2.shr_u(b1, 26);
    e = i64x2.shr_u(a4, 26);
    f = i64x2.shr_u(b4, 26);
    a1 = v128.and(a1, mask64);
    b1 = v128.and(b1, mask64);
    a4 = v128.and(a4, mask64);
    b4 = v128.and(b4, mask64);
    a2 = i64x2.add(a2, c);
    b2 = i64x2.add(b2, d);
    a0 = i64x2.add(a0, i64x2.add(e, i64x2.shl(e, 2)));
    b0 = i64x2.add(b0, i64x2.add(f, i64x2.shl(f, 2)));
    c = i64x2.shr_u(a2, 26);
    d = i64x2.shr_u(b2, 26);
    e = i64x2.shr_u(a0, 26);
    f = i64x2.shr_u(b0, 26);
    a2 = v128.and(a2, mask64);
    b2 = v128.and(b2, mask64);
    a0 = v128.and(a0, mask64);
    b0 = v128.and(b0, mask64);
    a3 = i64x2.add(a3, c);
    b3 = i64x2.add(b3, d);
    a1 = i64x2.add(a1, e);
    b1 = i64x2.add(b1, f);
    c = i64x2.shr_u(a3, 26);
    d = i64x2.shr_u(b3, 26);
    a3 = v128.and(a3, mask64);
    b3 = v128.and(b3, mask64);
    a4 = i64x2.add(a4, c);
    b4 = i64x2.add(b4, d);

    h0 = v128.shuffle<i32>(a0, b0, 0, 2, 4, 6);
    h1 = v128.shuffle<i32>(a1, b1, 0, 2, 4, 6);
    h2 = v128.shuffle<i32>(a2, b2, 0, 2, 4, 6);
    h3 = v128.shuffle<i32>(a3, b3, 0, 2, 4, 6);
    h4 = v128.shuffle<i32>(a4, b4, 0, 2, 4, 6);
  }
  store<u64>(sum, lanesTotal(h0));
  store<u64>(sum, lanesTotal(h1), 8);
  store<u64>(sum, lanesTotal(h2), 16);
  store<u64>(sum, lanesTotal(h3), 24);
  store<u64>(sum, lanesTotal(h4), 32);
}

/** The four lanes of a limb added up: below 2^29, which `multiply` and the next group bear. */
function lanesTotal(limb: v128): u64 {
  return (
    <u64>(<u32>i32x4.extract_lane(limb, 0)) +
    <u64>(<u32>i32x4.extract_lane(limb, 1)) +
    <u64>(<u32>i32x4.extract_lane(limb, 2)) +
    <u64>(<u32>i32x4.extract_lane(limb, 3))
  );
}

/** Five products of the lower two lanes, added. */
// @ts-ignore: decorator
@inline
function low5(a: v128, b: v128, c: v128, d: v128, e: v128, f: v128, g: v128, h: v128, i: v128, j: v128): v128 {
  return i64x2.add(
    i64x2.add(
      i64x2.add(i64x2.extmul_low_i32x4_u(a, b), i64x2.extmul_low_i32x4_u(c, d)),
      i64x2.add(i64x2.extmul_low_i32x4_u(e, f), i64x2.extmul_low_i32x4_u(g, h)),
    ),
    i64x2.extmul_low_i32x4_u(i, j),
  );
}

/** Five products of the upper two lanes, added. */
// @ts-ignore: decorator
@inline
function high5(a: v128, b: v128, c: v128, d: v128, e: v128, f: v128, g: v128, h: v128, i: v128, j: v128): v128 {
  return i64x2.add(
    i64x2.add(
      i64x2.add(i64x2.extmul_high_i32x4_u(a, b), i64x2.extmul_high_i32x4_u(c, d)),
      i64x2.add(i64x2.extmul_high_i32x4_u(e, f), i64x2.extmul_high_i32x4_u(g, h)),
    ),
    i64x2.extmul_high_i32x4_u(i, j),
  );
}

/** tag = ((h mod 2^130 − 5) + s) mod 2^128. */
function writeTag(s: usize, tag: usize): void {
  let h0 = load<u64>(sum);
  let h1 = load<u64>(sum, 8);
  let h2 = load<u64>(sum, 16);
  let h3 = load<u64>(sum, 24);
  let h4 = load<u64>(sum, 32);

  // Two rounds of carries bring every limb below 2^26, h below 2^130.
  for (let round = 0; round < 2; round++) {
    h1 += h0 >> 26;
    h0 &= MASK;
    h2 += h1 >> 26;
    h1 &= MASK;
    h3 += h2 >> 26;
    h2 &= MASK;
    h4 += h3 >> 26;
    h3 &= MASK;
    h0 += (h4 >> 26) * 5;
    h4 &= MASK;
  }
  h1 += h0 >> 26;
  h0 &= MASK;

  // g = h + 5 − 2^130; if that is not negative, h was not below p. Chosen without a branch.
  const g0 = h0 + 5;
  const g1 = h1 + (g0 >> 26);
  const g2 = h2 + (g1 >> 26);
  const g3 = h3 + (g2 >> 26);
  const g4 = h4 + (g3 >> 26) - (1 << 26);
  const keep: u64 = <i64>g4 >> 63;
  const take = ~keep & MASK;
  h0 = (h0 & keep) | (g0 & take);
  h1 = (h1 & keep) | (g1 & take);
  h2 = (h2 & keep) | (g2 & take);
  h3 = (h3 & keep) | (g3 & take);
  h4 = (h4 & keep) | (g4 & take);

  const low = h0 | (h1 << 26) | (h2 << 52);
  const high = (h2 >> 12) | (h3 << 14) | (h4 << 40);
  const lowSum = low + load<u64>(s);
  store<u64>(tag, lowSum);
  store<u64>(tag, high + load<u64>(s, 8) + u64(lowSum < low), 8);
}
