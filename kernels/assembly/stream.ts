/** Counter mode around the host's block cipher: the host turns counters into a key stream, which is laid over the data here. */

/** Writes `count` counter blocks to `to`: the 128-bit big-endian number at `iv`, plus `first`, `first + 1`, … (NIST SP 800-38A, CTR). */
export function fillCounters(iv: usize, first: u32, count: u32, to: usize): void {
  let high = bswap<u64>(load<u64>(iv));
  const start = bswap<u64>(load<u64>(iv, 8));
  let low = start + first;
  if (low < start) high++;
  let counter = i64x2.replace_lane(i64x2.splat(low), 1, high);
  const one = i64x2(1, 0);
  for (let at = to, end = to + (<usize>count << 4); at < end; at += 16) {
    v128.store(at, v128.shuffle<u8>(counter, counter, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
    counter = i64x2.add(counter, one);
    low++;
    if (low == 0) counter = i64x2.add(counter, i64x2(0, 1));
  }
}

/** data ^= key stream, `length` bytes rounded up to 16. */
export function applyStream(data: usize, keyStream: usize, length: usize): void {
  for (let i: usize = 0; i < length; i += 16) {
    v128.store(data + i, v128.xor(v128.load(data + i), v128.load(keyStream + i)));
  }
}

/** True if the `length` bytes at `from` are all zero; whole 64-byte steps first. */
export function allZero(from: usize, length: usize): bool {
  const end = from + length;
  let at = from;
  for (; at + 64 <= end; at += 64) {
    const a = v128.or(v128.load(at), v128.load(at, 16));
    const b = v128.or(v128.load(at, 32), v128.load(at, 48));
    if (v128.any_true(v128.or(a, b))) return false;
  }
  for (; at < end; at++) {
    if (load<u8>(at) != 0) return false;
  }
  return true;
}
