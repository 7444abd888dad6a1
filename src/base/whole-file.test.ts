import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type * as promises from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createWhole } from './whole-file.ts';

/** A file system without hard links cannot be mounted by who runs tests. */
const without = vi.hoisted(() => ({ links: false }));
vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof promises>();
  const link: typeof real.link = async (...names) => {
    if (without.links) throw Object.assign(new Error('operation not permitted'), { code: 'EPERM' });
    await real.link(...names);
  };
  return { ...real, link };
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-whole-'));
});
afterEach(() => {
  without.links = false;
  rmSync(folder, { recursive: true, force: true });
});

it.each(['with', 'without'])('has its name when it is complete, on a file system %s hard links', async (links) => {
  without.links = links === 'without';
  const file = join(folder, 'x'.repeat(255));
  const size = await createWhole(file, 0o600, async (handle) => {
    await handle.writeFile('one');
    const [draft, ...others] = readdirSync(folder);
    expect([others, existsSync(file)]).toEqual([[], false]);
    expect(statSync(join(folder, draft)).mode & 0o777).toBe(0o600);
    await handle.writeFile('two');
    return 6;
  });
  expect([size, readFileSync(file, 'utf8'), statSync(file).mode & 0o777]).toEqual([6, 'onetwo', 0o600]);
  expect(readdirSync(folder)).toHaveLength(1);
});

it.each(['with', 'without'])(
  'what appeared meanwhile is not overwritten, on a file system %s hard links',
  async (links) => {
    without.links = links === 'without';
    const file = join(folder, 'key');
    const making = createWhole(file, 0o600, async (handle) => {
      await handle.writeFile('ours');
      writeFileSync(file, 'theirs');
    });
    await expect(making).rejects.toMatchObject({ code: 'EEXIST' });
    expect([readFileSync(file, 'utf8'), readdirSync(folder)]).toEqual(['theirs', ['key']]);
  },
);

it('nothing is left of what failed, and nothing is begun where something is, a link to nowhere too', async () => {
  const file = join(folder, 'key');
  const broken = createWhole(file, 0o600, async (handle) => {
    await handle.writeFile('half');
    throw new Error('cut off');
  });
  await expect(broken).rejects.toThrow('cut off');
  expect(readdirSync(folder)).toEqual([]);
  symlinkSync(join(folder, 'elsewhere'), file);
  const write = vi.fn();
  await expect(createWhole(file, 0o600, write)).rejects.toMatchObject({ code: 'EEXIST' });
  expect(write).not.toHaveBeenCalled();
  expect(readdirSync(folder)).toEqual(['key']);
});
