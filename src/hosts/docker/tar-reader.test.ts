import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TarHeader } from './tar-header.ts';
import { TarReader } from './tar-reader.ts';

let folder: string;
const long = 'l'.repeat(200);
const content = randomBytes(70_001);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-tar-'));
  const tree = join(folder, 'tree');
  mkdirSync(join(tree, long, long), { recursive: true });
  writeFileSync(join(tree, long, long, 'deep'), content);
  writeFileSync(join(tree, 'ünï\n'), 'name');
  writeFileSync(join(tree, 'empty'), '');
  linkSync(join(tree, 'ünï\n'), join(tree, 'same'));
  symlinkSync(`/${long}/${long}`, join(tree, 'link'));
  chmodSync(join(tree, 'empty'), 0o4711);
  utimesSync(join(tree, 'empty'), 1_600_000_000.25, 1_600_000_000.25);
});

afterAll(() => rmSync(folder, { recursive: true }));

/** The archive of the tree in pieces of `length` bytes. */
async function* archive(format: string, length: number, upTo = Number.POSITIVE_INFINITY): AsyncGenerator<Uint8Array> {
  const bytes = execFileSync('tar', ['-C', folder, `--format=${format}`, '--sort=name', '-cf', '-', 'tree'], {
    maxBuffer: 1 << 30,
  }).subarray(0, upTo);
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

async function readAll(chunks: AsyncIterable<Uint8Array>): Promise<Map<string, TarHeader & { content: Buffer }>> {
  const reader = new TarReader(chunks);
  const found = new Map<string, TarHeader & { content: Buffer }>();
  for (let header = await reader.next(); header; header = await reader.next()) {
    const parts: Buffer[] = [];
    for (;;) {
      const into = Buffer.alloc(1000);
      const count = await reader.read(into);
      if (count === 0) break;
      parts.push(into.subarray(0, count));
    }
    found.set(header.path, { ...header, content: Buffer.concat(parts) });
  }
  return found;
}

test.each(['gnu', 'pax'])('an archive in the format %s is read, however it is cut', async (format) => {
  for (const length of [1, 511, 4096, 1 << 20]) {
    const found = await readAll(archive(format, length));
    expect([...found.keys()].length).toBe(8);
    expect(found.get(`tree/${long}/${long}/deep`)?.content.equals(content)).toBe(true);
    expect(found.get('tree/link')).toMatchObject({ type: '2', linkPath: `/${long}/${long}` });
    expect(found.get('tree/empty')).toMatchObject({ type: '0', mode: 0o4711, size: 0 });
    const names = ['tree/ünï\n', 'tree/same'].map((name) => found.get(name)!);
    expect(new Set(names.map((one) => one.type))).toEqual(new Set(['0', '1']));
    expect(new Set(names.map((one) => one.content.toString()))).toEqual(new Set(['', 'name']));
  }
});

test('times of the pax format keep their fraction', async () => {
  const found = await readAll(archive('pax', 4096));
  expect(found.get('tree/empty')?.mtimeNs).toBe(1_600_000_000_250_000_000n);
});

test('what is passed over need not be read', async () => {
  const reader = new TarReader(archive('gnu', 700));
  let count = 0;
  while (await reader.next()) count++;
  expect(count).toBe(8);
});

test('an archive that is cut anywhere, or is none, is an error', async () => {
  for (const upTo of [0, 100, 512, 1024, 5000, 60_000]) {
    await expect(readAll(archive('gnu', 4096, upTo))).rejects.toMatchObject({ code: 'source.unreadable' });
  }
  const text = (async function* () {
    yield Buffer.alloc(1024, 'this is no archive ');
  })();
  await expect(readAll(text)).rejects.toMatchObject({ code: 'source.unreadable' });
});
