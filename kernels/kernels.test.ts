import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { compileKernel, generatedSource, kernels } from './build.ts';

test.each(kernels)('the committed kernel of $entry is what its source compiles to', async (kernel) => {
  expect(generatedSource(kernel, await compileKernel(kernel))).toBe(readFileSync(kernel.file, 'utf8'));
});
