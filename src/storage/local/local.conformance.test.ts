import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { runStorageCase, storageCases } from '../check.ts';
import { openStorage } from '../open.ts';
import { localStorage } from './index.ts';

const place = mkdtempSync(join(tmpdir(), 'holdfast-local-'));
afterAll(() => rmSync(place, { recursive: true }));

test.each(storageCases)('local storage: $why', async (each) => {
  const result = await runStorageCase(each, {
    open: () => openStorage([localStorage], place, { create: true }),
    prefix: 'holdfast/check',
  });
  expect(result).toMatchObject({ passed: true });
});

test('local storage: of no case is anything left, not even a folder', () => {
  expect(readdirSync(place, { recursive: true })).toEqual(['holdfast', 'holdfast/check']);
});
