import { expect, test } from 'vitest';
import { runStorageCase, storageCases } from './check.ts';
import { memoryStorage } from './memory.ts';

const place = new Map<string, Uint8Array>();

test.each(storageCases)('memory storage: $why', async (each) => {
  const result = await runStorageCase(each, { open: async () => memoryStorage(place), prefix: 'check' });
  expect(result).toMatchObject({ passed: true });
  expect(place.size).toBe(0);
});
