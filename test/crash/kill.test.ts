/**
 * kill -9 at random moments of backup, forget, prune, key changes and restore: nothing that was stored is lost, and the
 * next backup succeeds without help. KILLS says how often (a few in every run, 300 with `npm run test:crash`).
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { initCheaply } from '../support/cheap-repository.ts';
import { CrashPlace } from './place.ts';

const kills = Number(process.env.KILLS ?? 6);
const newBytes = 6 << 20;

const operations = {
  backup: ['backup', 'data'],
  forget: ['forget', '--all'],
  prune: ['repo', 'prune', 'main'],
  'forget and prune': ['forget', '--all', '--prune'],
  'add a key': ['repo', 'key', 'add', 'main', '--new-password-env', 'SECOND'],
  restore: ['restore', 'data@latest', '--to'],
} as const;
type Operation = keyof typeof operations;
const names = Object.keys(operations) as Operation[];

/** Snapshots an operation may remove. */
const removes = new Set<Operation>(['forget', 'forget and prune']);

function argsOf(place: CrashPlace, operation: Operation): string[] {
  const target = join(place.folder, 'target');
  rmSync(target, { recursive: true, force: true });
  return operation === 'restore' ? [...operations.restore, target] : [...operations[operation]];
}

function expectKept(operation: Operation, known: ReadonlySet<string>, left: ReadonlySet<string>): void {
  if (removes.has(operation)) expect(left.size).toBeGreaterThanOrEqual(Math.min(4, known.size));
  else
    expect(
      [...known].filter((id) => !left.has(id)),
      operation,
    ).toEqual([]);
}

/** Backs up without help, then kills an operation somewhere within the longest time it has taken; false if it was quicker. */
async function strike(place: CrashPlace, operation: Operation, durations: Map<Operation, number>): Promise<boolean> {
  place.change(newBytes);
  const help = await place.holdfast(['backup', 'data']);
  expect(help.status, `the backup before ${operation}: ${help.output}`).toBe(0);
  if (operation === 'backup') place.change(newBytes);
  const known = place.snapshots();
  const longest = durations.get(operation);
  const outcome = await place.holdfast(
    argsOf(place, operation),
    longest === undefined ? undefined : Math.random() * longest,
  );
  expectKept(operation, known, place.snapshots());
  if (outcome.killed) return true;
  expect(outcome.status, `${operation}: ${outcome.output}`).toBe(0);
  durations.set(operation, Math.max(longest ?? 0, outcome.durationMs));
  return false;
}

async function expectSound(place: CrashPlace, when: string): Promise<void> {
  expect(await place.resticCheck(), when).toContain('no errors were found');
  const check = await place.holdfast(['repo', 'check', 'main', '--read-data']);
  expect(check.status, `${when}: ${check.output}`).toBe(0);
}

test(`${kills} kills at random moments lose nothing`, { timeout: 300_000 + kills * 20_000 }, async () => {
  using place = new CrashPlace();
  await initCheaply(place.repository, 'first');
  const durations = new Map<Operation, number>();
  const landed = new Map<Operation, number>();
  for (let killed = 0, round = 0; killed < kills; round++) {
    expect(round, 'kills come too late to land').toBeLessThan(kills * 10);
    const operation = names[round % names.length];
    if (!(await strike(place, operation, durations))) continue;
    killed++;
    landed.set(operation, (landed.get(operation) ?? 0) + 1);
    if (killed % 4 === 0 || kills > 100) await expectSound(place, `after kill ${killed}, of ${operation}`);
  }
  console.log(`kills that landed: ${[...landed].map(([name, count]) => `${name} ${count}`).join(', ')}`);
  expect((await place.holdfast(['backup', 'data'])).status).toBe(0);
  const proven = await place.holdfast(['drill', 'data']);
  expect(proven.status, proven.output).toBe(0);
  expect(await place.resticCheck()).toContain('no errors were found');
});

test('what a killed backup had stored is not stored again', async () => {
  using place = new CrashPlace();
  await initCheaply(place.repository, 'first');
  const size = 256 << 20;
  place.change(size);
  // Killed when packs are there: watched, not timed.
  const first = await place.holdfast(['backup', 'data'], undefined, () => place.packBytes() >= 48 << 20);
  expect(first.killed).toBe(true);
  const stored = place.packBytes();
  expect(stored).toBeGreaterThanOrEqual(48 << 20);
  expect(place.snapshots().size).toBe(0);
  const second = await place.holdfast(['--json', 'backup', 'data']);
  expect(second.status, second.output).toBe(0);
  const result = JSON.parse(second.output.trim().split('\n').at(-1)!);
  expect(result.results[0].addedBytes).toBeLessThanOrEqual(size * 1.02 - stored);
  expect(await place.resticCheck()).toContain('no errors were found');
});
