import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { compileKernels, generatedFile, generatedSource } from './build.ts';

test('the committed kernels are what their sources compile to', async () => {
  expect(generatedSource(await compileKernels())).toBe(readFileSync(generatedFile, 'utf8'));
});
