/**
 * Poly1305 (RFC 8439 §2.5) with limbs of 26 bits: products of two limbs and sums of five such products fit 64 bits.
 * Use: start, then blocks on whole 16-byte blocks, then finish with what remains.
 */

const MASK: u64 = 0x3ffffff;

/** r0 … r4, then h0 … h4: ten u64. */
const state: usize = memory.data(80, 16);

/** Begins a message. `key` points at the 16 bytes of r, which are masked here. */
export function polyStart(key: usize): void {
  store<u64>(state, load<u32>(key) & 0x3ffffff);
  store<u64>(state, (load<u32>(key, 3) >> 2) & 0x3ffff03, 8);
  store<u64>(state, (load<u32>(key, 6) >> 4) & 0x3ffc0ff, 16);
  store<u64>(state, (load<u32>(key, 9) >> 6) & 0x3f03fff, 24);
  store<u64>(state, (load<u32>(key, 12) >> 8) & 0x00fffff, 32);
  memory.fill(state + 40, 0, 40);
}

/** Takes `length` bytes at `from`; `length` is a multiple of 16. */
export function polyBlocks(from: usize, length: usize): void {
  absorb(from, length, 1 << 24);
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

function absorb(from: usize, length: usize, highBit: u64): void {
  const r0 = load<u64>(state);
  const r1 = load<u64>(state, 8);
  const r2 = load<u64>(state, 16);
  const r3 = load<u64>(state, 24);
  const r4 = load<u64>(state, 32);
  // 2^130 = 5 modulo p: what overflows the top comes back five times at the bottom.
  const s1 = r1 * 5;
  const s2 = r2 * 5;
  const s3 = r3 * 5;
  const s4 = r4 * 5;
  let h0 = load<u64>(state, 40);
  let h1 = load<u64>(state, 48);
  let h2 = load<u64>(state, 56);
  let h3 = load<u64>(state, 64);
  let h4 = load<u64>(state, 72);

  const end = from + length;
  for (let at = from; at < end; at += 16) {
    const low = load<u64>(at);
    const high = load<u64>(at, 8);
    h0 += low & MASK;
    h1 += (low >> 26) & MASK;
    h2 += ((low >> 52) | (high << 12)) & MASK;
    h3 += (high >> 14) & MASK;
    h4 += (high >> 40) | highBit;

    const d0 = h0 * r0 + h1 * s4 + h2 * s3 + h3 * s2 + h4 * s1;
    let d1 = h0 * r1 + h1 * r0 + h2 * s4 + h3 * s3 + h4 * s2;
    let d2 = h0 * r2 + h1 * r1 + h2 * r0 + h3 * s4 + h4 * s3;
    let d3 = h0 * r3 + h1 * r2 + h2 * r1 + h3 * r0 + h4 * s4;
    let d4 = h0 * r4 + h1 * r3 + h2 * r2 + h3 * r1 + h4 * r0;

    d1 += d0 >> 26;
    h0 = d0 & MASK;
    d2 += d1 >> 26;
    h1 = d1 & MASK;
    d3 += d2 >> 26;
    h2 = d2 & MASK;
    d4 += d3 >> 26;
    h3 = d3 & MASK;
    h0 += (d4 >> 26) * 5;
    h4 = d4 & MASK;
    h1 += h0 >> 26;
    h0 &= MASK;
  }

  store<u64>(state, h0, 40);
  store<u64>(state, h1, 48);
  store<u64>(state, h2, 56);
  store<u64>(state, h3, 64);
  store<u64>(state, h4, 72);
}

/** tag = ((h mod 2^130 − 5) + s) mod 2^128. */
function writeTag(s: usize, tag: usize): void {
  let h0 = load<u64>(state, 40);
  let h1 = load<u64>(state, 48);
  let h2 = load<u64>(state, 56);
  let h3 = load<u64>(state, 64);
  let h4 = load<u64>(state, 72);

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
  let g0 = h0 + 5;
  let g1 = h1 + (g0 >> 26);
  let g2 = h2 + (g1 >> 26);
  let g3 = h3 + (g2 >> 26);
  let g4 = h4 + (g3 >> 26) - (1 << 26);
  const keep: u64 = (<i64>g4 >> 63);
  const take = ~keep & MASK;
  h0 = (h0 & keep) | (g0 & take);
  h1 = (h1 & keep) | (g1 & take);
  h2 = (h2 & keep) | (g2 & take);
  h3 = (h3 & keep) | (g3 & take);
  h4 = (h4 & keep) | (g4 & take);

  const low = h0 | (h1 << 26) | (h2 << 52);
  const high = (h2 >> 12) | (h3 << 14) | (h4 << 40);
  const sum = low + load<u64>(s);
  store<u64>(tag, sum);
  store<u64>(tag, high + load<u64>(s, 8) + u64(sum < low), 8);
}
