import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HoldfastError } from '../../base/errors.ts';
import { lzfDecompress } from './lzf.ts';

type Step = { literal: Uint8Array } | { back: number; count: number };

/** Literal runs of up to 32 bytes; references 1 to 8192 bytes back, of 3 to 264 bytes. */
const steps = fc.array(
  fc.oneof(
    fc.record({ literal: fc.uint8Array({ minLength: 1, maxLength: 32 }) }),
    fc.record({ back: fc.integer({ min: 1, max: 8192 }), count: fc.integer({ min: 3, max: 264 }) }),
  ),
  { minLength: 1 },
);

function build(plan: readonly Step[]): { packed: Buffer; plain: Buffer } {
  const packed: number[] = [];
  const plain: number[] = [];
  for (const step of plan) {
    if ('literal' in step) {
      packed.push(step.literal.length - 1, ...step.literal);
      plain.push(...step.literal);
      continue;
    }
    if (plain.length === 0) continue;
    const back = Math.min(step.back, plain.length);
    const run = step.count - 2;
    const high = (back - 1) >> 8;
    packed.push(...(run < 7 ? [(run << 5) | high] : [(7 << 5) | high, run - 7]), (back - 1) & 255);
    for (let i = 0; i < step.count; i++) plain.push(plain[plain.length - back]);
  }
  return { packed: Buffer.from(packed), plain: Buffer.from(plain) };
}

test('runs and references, overlapping ones too, give the text back', () => {
  fc.assert(
    fc.property(steps, (plan) => {
      const { packed, plain } = build(plan);
      expect(Buffer.from(lzfDecompress(packed, plain.length)).equals(plain)).toBe(true);
    }),
  );
});

test('anything else is refused, without taking memory for what it claims', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(), (packed, length) => {
      try {
        expect(lzfDecompress(packed, length).length).toBe(length);
      } catch (error) {
        expect(error).toBeInstanceOf(HoldfastError);
      }
    }),
    { numRuns: 2000 },
  );
});
