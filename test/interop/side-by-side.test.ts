/** Both programs backing up into one repository at the same time, again and again: every backup counts, nothing is lost. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { BothPrograms, resticPrograms } from '../support/both-programs.ts';
import { treeFacts } from '../support/tree-facts.ts';

const both = new BothPrograms('alike', 'apart');
afterAll(() => both[Symbol.dispose]());

const rounds = 3;

/** The same new files for all of them, and some that only Holdfast sees. */
function change(round: number): void {
  for (let i = 0; i < 20; i++) {
    const noise = createHash('shake256', { outputLength: 150_000 }).update(`${round} ${i}`).digest();
    writeFileSync(both.path('alike', `${round} ${i}`), noise);
    writeFileSync(both.path('apart', `${round} ${i}`), `${i}\n`.repeat(1000));
  }
}

test('all of them end well, and all they stored can be restored', async () => {
  both.restic('restic-new', 'init');
  for (let round = 0; round < rounds; round++) {
    change(round);
    const ended = await Promise.all([
      both.run('holdfast', ['backup', 'alike']),
      both.run('holdfast', ['backup', 'apart']),
      ...resticPrograms.map((program) => both.run(program, ['backup', both.path('alike')])),
    ]);
    for (const one of ended) expect(one).toMatchObject({ status: 0 });
  }
  expect(both.locks()).toEqual([]);
  const snapshots = both.snapshots('restic-new');
  expect(snapshots).toHaveLength(4 * rounds);
  both.holdfast('repo', 'check', 'both', '--read-data');
  expect(both.restic('restic-new', 'check', '--read-data')).toContain('no errors were found');
  const newest = ['alike', 'apart'].map((name) => snapshots.findLast(({ paths }) => paths[0] === both.path(name))!);
  for (const { id, paths } of newest) {
    both.holdfast('restore', id, '--to', `restored-${id}`);
    expect(treeFacts(both.path(join(`restored-${id}`, paths[0])))).toEqual(treeFacts(paths[0]));
  }
  // What was stored twice at the same moment is unused in one of its places, and goes.
  both.holdfast('repo', 'prune', 'both', '--max-unused', '0');
  expect(both.restic('restic', 'check', '--read-data')).toContain('no errors were found');
});
