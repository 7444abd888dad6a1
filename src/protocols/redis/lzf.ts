/** LZF as in liblzf 3.6: literal runs, and references up to 8 KiB back. */
import { malformed } from './malformed.ts';

/** Three bytes of a reference stand for at most 264. */
const mostExpansion = 264 / 2;

/** Decompresses to exactly `length` bytes; claims that the input cannot make good are refused before memory is taken for them. */
export function lzfDecompress(input: Uint8Array, length: number): Uint8Array {
  if (length > input.length * mostExpansion) throw malformed('a compressed string claims to be longer than it can be');
  const output = Buffer.allocUnsafe(length);
  let from = 0;
  let to = 0;
  while (from < input.length) {
    const control = input[from++];
    const run = control >> 5;
    if (run === 0) {
      if (from + control >= input.length || to + control >= length) throw overrun();
      output.set(input.subarray(from, from + control + 1), to);
      from += control + 1;
      to += control + 1;
      continue;
    }
    const count = run + 2 + (run === 7 ? input[from++] : 0);
    const back = ((control & 31) << 8) + input[from++] + 1;
    // Past the end of the input these are no numbers, and refused here.
    if (!(back <= to && to + count <= length)) throw overrun();
    copyBack(output, { to, back, count });
    to += count;
  }
  if (to !== length) throw overrun();
  return output;
}

/** What is copied may overlap what is written: then it repeats, so byte by byte. */
function copyBack(output: Buffer, { to, back, count }: { to: number; back: number; count: number }): void {
  if (back >= count) {
    output.copyWithin(to, to - back, to - back + count);
    return;
  }
  for (let i = 0; i < count; i++) output[to + i] = output[to + i - back];
}

function overrun(): Error {
  return malformed('a compressed string does not decompress to its length');
}
