/** `holdfast repo copy`, killed with SIGKILL while it copies: what arrived is kept and not sent again, and the next one finishes. */
import type { ChildProcess } from 'node:child_process';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { BothPrograms } from '../support/both-programs.ts';
import { initCheaply } from '../support/cheap-repository.ts';

let both: BothPrograms;
afterEach(() => both[Symbol.dispose]());

const sourceMiB = 160;
const secret = 'a secret of the other one';

function configure(limits?: object): void {
  const config = {
    repositories: {
      both: { url: './repository', password: { file: './home/password' } },
      other: { url: './other', password: { file: './home/other' }, ...(limits ? { limits } : {}) },
    },
    sources: { source: { driver: 'files', paths: ['./source'], repository: 'both' } },
  };
  writeFileSync(both.path('holdfast.yaml'), JSON.stringify(config));
}

function packsOf(folder: string): Map<string, number> {
  const data = both.path(folder, 'data');
  if (!existsSync(data)) return new Map();
  const names = readdirSync(data).flatMap((one) => readdirSync(join(data, one)).map((name) => join(data, one, name)));
  return new Map(names.filter((name) => /[0-9a-f]{64}$/.test(name)).map((name) => [name, statSync(name).size]));
}

const total = (packs: ReadonlyMap<string, number>): number => [...packs.values()].reduce((sum, size) => sum + size, 0);

/** Until so many packs arrived; nothing secret may be seen from outside meanwhile. */
function killAt(child: ChildProcess, packs: number): void {
  const watch = setInterval(() => {
    if (child.exitCode !== null) return;
    const line = readFileSync(`/proc/${child.pid}/cmdline`, 'utf8');
    if (line.includes(secret)) throw new Error('a secret is in the arguments');
    if (packsOf('other').size < packs) return;
    clearInterval(watch);
    process.kill(-child.pid!, 'SIGKILL');
  }, 20);
  child.on('close', () => clearInterval(watch));
}

test('a copy that was killed twice is finished by the third, and sends nothing twice', async () => {
  both = new BothPrograms('source');
  writeFileSync(both.path('home/other'), secret);
  await initCheaply(both.repository, 'a password');
  await initCheaply(both.path('other'), secret);
  for (let i = 0; i < 4; i++) writeFileSync(both.path(`source/${i}`), randomBytes((sourceMiB / 4) << 20));
  configure();
  both.holdfastBackup('source');
  configure({ upload: '24MiB/s' });
  for (const packs of [2, 5]) {
    const { status } = await both.run('holdfast', ['repo', 'copy', 'both', '--to', 'other'], (child) =>
      killAt(child, packs),
    );
    expect(status).toBeNull();
    expect(existsSync(both.path('other/snapshots'))).toBe(false);
  }
  const arrived = packsOf('other');
  expect(arrived.size).toBeGreaterThanOrEqual(5);
  configure();
  const lines = both.holdfast('--json', 'repo', 'copy', 'both', '--to', 'other').trimEnd().split('\n');
  const { copied, adoptedPacks, storedBytes } = JSON.parse(lines.at(-1)!) as Record<string, unknown> & {
    copied: unknown[];
  };
  expect(copied).toHaveLength(1);
  expect(adoptedPacks).toBeGreaterThan(0);
  const packs = packsOf('other');
  for (const name of arrived.keys()) expect(packs.has(name)).toBe(true);
  expect(storedBytes as number).toBeLessThan(total(packs) - total(arrived) * 0.95);
  // The same data as in the origin, once.
  expect(total(packs)).toBeLessThan(total(packsOf('repository')) * 1.02);
  const args = ['-r', both.path('other'), '--password-file', both.path('home/other'), '--no-cache'];
  const check = execFileSync('restic', [...args, '--no-lock', 'check', '--read-data'], {
    encoding: 'utf8',
    env: both.env,
  });
  expect(check).toContain('no errors were found');
});
