import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { shellWord } from './shell-word.ts';

test('any text is one word to a shell, and the same text', () => {
  const text = fc.string({ unit: 'binary-ascii', maxLength: 20 }).filter((one) => !one.includes('\0'));
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 5 }), (words) => {
      const script = `printf '%s\\0' ${words.map(shellWord).join(' ')}`;
      expect(execFileSync('sh', ['-c', script], { encoding: 'latin1' })).toBe(`${words.join('\0')}\0`);
    }),
    { numRuns: 50 },
  );
});
