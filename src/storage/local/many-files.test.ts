import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { listed } from '../conformance/case.ts';
import { openLocal } from './local-storage.ts';
import { ManyFiles } from './many-files.ts';
import { mostFileBytes } from './reading-messages.ts';

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'holdfast-many-'));
});
afterEach(() => rmSync(base, { recursive: true }));

const path = (name: string): string => join(base, name);

test('files are read together; what is absent, large or no file is left to be asked for by itself', async () => {
  writeFileSync(path('small'), 'small');
  writeFileSync(path('empty'), '');
  writeFileSync(path('most'), Buffer.alloc(mostFileBytes, 1));
  writeFileSync(path('large'), Buffer.alloc(mostFileBytes + 1, 1));
  mkdirSync(path('folder'));
  const many = new ManyFiles();
  const found = await many.read(['small', 'absent', 'empty', 'large', 'most', 'folder', 'small'].map(path));
  expect(found.map((bytes) => bytes?.byteLength)).toEqual([5, undefined, 0, undefined, mostFileBytes, undefined, 5]);
  expect(Buffer.from(found[6]!).toString()).toBe('small');
  await many.close();
});

test('files are looked at together, through links', async () => {
  writeFileSync(path('small'), 'small');
  mkdirSync(path('folder'));
  symlinkSync(path('small'), path('link'));
  symlinkSync(path('nowhere'), path('dangling'));
  const many = new ManyFiles();
  const names = ['small', 'folder', 'link', 'dangling', 'small/below'].map(path);
  expect(await many.look([...names, '/dev/null'])).toEqual([5, 'folder', 5, 'gone', 'gone', 'other']);
  await many.close();
});

test('without the thread there are no answers, and nobody waits for one', async () => {
  const many = new ManyFiles();
  const asked = many.read([path('absent')]);
  await many.close();
  expect(await asked).toEqual([]);
  expect(await many.look([path('absent')])).toEqual([]);
});

test('a long listing has every object with its size, in all folders', async () => {
  const storage = await openLocal(base, { create: false });
  const expected = new Map<string, number>();
  for (const folder of ['aa', 'bb', 'cc']) {
    mkdirSync(join(base, 'data', folder), { recursive: true });
    for (let i = 0; i < 400; i++) {
      writeFileSync(join(base, 'data', folder, `f${i}`), 'x'.repeat(i % 7));
      expected.set(`data/${folder}/f${i}`, i % 7);
    }
  }
  writeFileSync(join(base, 'data/aa/~holdfast-1-2-3'), 'on its way');
  expect(await listed(storage, 'data')).toEqual(expected);
  const names = [...expected.keys()].slice(0, 128);
  const found = await storage.getTogether!(names);
  expect(found.map((bytes) => bytes?.byteLength)).toEqual(names.map((name) => expected.get(name)));
  await storage.close();
});

test('a file that may not be read is told by name', async () => {
  if (process.getuid?.() === 0) return;
  writeFileSync(path('secret'), 'x');
  chmodSync(path('secret'), 0);
  const storage = await openLocal(base, { create: false });
  expect(await storage.getTogether!(['secret'])).toEqual([undefined]);
  await expect(storage.get('secret')).rejects.toMatchObject({ code: 'storage.denied' });
  await storage.close();
});
