import { expect, test } from 'vitest';
import { type ConformanceResult, runStorageConformance, storageCases } from './check.ts';
import { countingStorage } from './counting.ts';
import { type FaultRule, faultyStorage } from './faulty.ts';
import { memoryStorage } from './memory.ts';
import type { Storage } from './storage.ts';

async function failures(wrap: (inner: Storage) => Storage): Promise<string[]> {
  const place = new Map<string, Uint8Array>();
  const reported: ConformanceResult[] = [];
  const results = await runStorageConformance(
    { open: async () => wrap(memoryStorage(place)), prefix: 'check' },
    (result) => reported.push(result),
  );
  expect(reported).toEqual(results);
  expect(results.map(({ id }) => id)).toEqual(storageCases.map(({ id }) => id));
  return results.filter(({ passed }) => !passed).map(({ id }) => id);
}

const always = (fault: FaultRule['fault'], more: Partial<FaultRule> = {}) => {
  return (inner: Storage): Storage => faultyStorage(inner, { seed: 1, rules: [{ fault, probability: 1, ...more }] });
};

test('a storage that keeps its promises passes every case, and every case has an id of its own', async () => {
  expect(await failures((inner) => countingStorage(inner))).toEqual([]);
  expect(new Set(storageCases.map(({ id }) => id)).size).toBe(storageCases.length);
});

test('a storage that stores less than it was given is found out', async () => {
  expect(await failures(always({ kind: 'torn-success' }))).toContain('round-trip');
});

test('a storage that flips bits is found out', async () => {
  expect(await failures(always({ kind: 'bit-flip' }))).toEqual(expect.arrayContaining(['large-body', 'ranges']));
});

test('a storage whose lists are short is found out', async () => {
  const failed = await failures(always({ kind: 'short-list' }));
  expect(failed).toEqual(expect.arrayContaining(['long-list', 'list-while-writing']));
});

test('a storage that ignores «must not exist» is found out', async () => {
  const failed = await failures((inner) => ({
    ...inner,
    put: (name, parts, options) => inner.put(name, parts, { ...options, mustNotExist: false }),
  }));
  expect(failed).toEqual(['one-winner']);
});

test('a storage that checks and then writes is found out', async () => {
  const failed = await failures((inner) => ({
    ...inner,
    put: async (name, parts, options) => {
      const there = options?.mustNotExist && (await inner.stat(name));
      if (there) return inner.put(name, parts, options);
      await new Promise((resolve) => setImmediate(resolve));
      await inner.put(name, parts, { signal: options?.signal });
    },
  }));
  expect(failed).toEqual(['one-winner']);
});

test('a storage that replaces in two steps is found out', async () => {
  const failed = await failures((inner) => ({
    ...inner,
    put: async (name, parts, options) => {
      if (!options?.mustNotExist && (await inner.stat(name))) {
        await inner.put(name, parts.slice(0, 0));
        await new Promise((resolve) => setImmediate(resolve));
      }
      await inner.put(name, parts, options);
    },
  }));
  expect(failed).toContain('atomic-replace');
});

test('a storage that answers a range past the end with fewer bytes is found out', async () => {
  const failed = await failures((inner) => ({
    ...inner,
    get: async (name, range, signal) => {
      if (!range) return inner.get(name, range, signal);
      return (await inner.get(name, undefined, signal)).subarray(range.offset, range.offset + range.length);
    },
  }));
  expect(failed).toContain('past-the-end');
});

test('a folder that cannot be removed in the end hides no result', async () => {
  const place = new Map<string, Uint8Array>();
  const refused = new Error('the folder is in use');
  const open = async (): Promise<Storage> => ({
    ...memoryStorage(place),
    removeFolders: async (folder) => {
      if (folder === 'check') throw refused;
    },
  });
  const results = await runStorageConformance({ open, prefix: 'check' }, () => undefined);
  expect(results.filter(({ passed }) => passed)).toHaveLength(storageCases.length);
  expect(results.at(-1)).toMatchObject({ id: 'removal', passed: false, error: refused });
  const stopped = runStorageConformance({ open, prefix: 'check' }, () => {
    throw new Error('somebody stopped it');
  });
  await expect(stopped).rejects.toThrow('somebody stopped it');
});
