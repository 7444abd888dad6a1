import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { resolveInside } from './inside-path.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'holdfast-inside-'));
  mkdirSync(join(root, 'run/db'), { recursive: true });
  mkdirSync(join(root, 'var'));
  writeFileSync(join(root, 'run/db/socket'), '');
});

afterEach(() => rmSync(root, { recursive: true }));

test('absolute links start at the container’s root, and nothing leads out of it', () => {
  symlinkSync('/run', join(root, 'var/run'));
  symlinkSync('../../../../../run/./db', join(root, 'var/up'));
  for (const path of ['/run/db/socket', '/var/run/db/socket', '/var/up/socket', '/../var/run//db/socket']) {
    expect(resolveInside(root, path)).toBe(join(root, 'run/db/socket'));
  }
});

test('what is missing or leads in a circle is an error', () => {
  symlinkSync('loop', join(root, 'loop'));
  expect(() => resolveInside(root, '/loop')).toThrow(/too many/);
  expect(() => resolveInside(root, '/run/nothing')).toThrow(/ENOENT/);
});
