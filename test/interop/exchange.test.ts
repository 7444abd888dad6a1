/** What one program stored, the other restores: content and metadata, through forgetting and pruning by either. */
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { BothPrograms, type ResticProgram, resticPrograms } from '../support/both-programs.ts';
import { initCheaply } from '../support/cheap-repository.ts';
import { type TreeFacts, treeFacts } from '../support/tree-facts.ts';

let both: BothPrograms;
afterEach(() => both[Symbol.dispose]());

/** A hostile tree as a source. restic 0.14 has no place for link targets that are not UTF-8. */
function prepare(program: ResticProgram): string {
  both = new BothPrograms('source');
  both.makeHostile('source');
  if (program === 'restic') rmSync(both.path('source/link-bytes'));
  return both.path('source');
}

/** What changes between two backups. */
function change(source: string): void {
  appendFileSync(join(source, 'several-blobs'), 'and more\n');
  rmSync(join(source, 'with space'));
  mkdirSync(join(source, 'new directory'));
  writeFileSync(join(source, 'new directory', 'file'), 'new');
}

function restoredByRestic(program: ResticProgram, source: string, snapshot: string): TreeFacts {
  const target = both.path(`by-${program}-${snapshot.slice(0, 8)}`);
  both.restic(program, 'restore', snapshot, '--target', target);
  return asResticCan(treeFacts(join(target, source)));
}

/** restic counts nanoseconds in 64 bits, which end in the year 2262. */
function asResticCan({ objects, attributes }: TreeFacts): TreeFacts {
  return { objects: new Map([...objects].filter(([path]) => path !== '/far')), attributes };
}

function restoredByUs(source: string, snapshot: string): TreeFacts {
  const target = both.path(`by-us-${snapshot.slice(0, 8)}`);
  both.holdfast('restore', snapshot, '--to', target);
  return treeFacts(join(target, source));
}

function expectSound(program: ResticProgram): void {
  both.holdfast('repo', 'check', 'both', '--read-data');
  expect(both.restic(program, 'check', '--read-data')).toContain('no errors were found');
}

describe.each(resticPrograms)('%s', (program) => {
  test('restores what we stored, and what it forgot and pruned is sound to us', async () => {
    const source = prepare(program);
    await initCheaply(both.repository, 'a password');
    const before = treeFacts(source);
    const first = both.holdfastBackup('source');
    change(source);
    const after = treeFacts(source);
    const second = both.holdfastBackup('source');
    expectSound(program);
    expect(restoredByRestic(program, source, first.snapshot)).toEqual(asResticCan(before));
    expect(restoredByRestic(program, source, second.snapshot)).toEqual(asResticCan(after));
    both.restic(program, 'forget', '--keep-last', '1', '--prune', '--max-unused', '0');
    expect(both.snapshots(program).map(({ id }) => id)).toEqual([second.snapshot]);
    expectSound(program);
    expect(restoredByUs(source, second.snapshot)).toEqual(after);
  });

  test.each(program === 'restic' ? ['2'] : ['1', '2'])(
    'stores, in format %s, what we restore, and what we forgot and pruned is sound to it',
    (version) => {
      const source = prepare(program);
      both.restic(program, 'init', '--repository-version', version);
      const before = treeFacts(source);
      both.resticBackup(program, 'source');
      change(source);
      const after = treeFacts(source);
      both.resticBackup(program, 'source');
      const [first, second] = both.snapshots(program).map(({ id }) => id);
      expect(restoredByUs(source, first)).toEqual(before);
      expect(restoredByUs(source, second)).toEqual(after);
      writeFileSync(join(source, 'ours'), 'x'.repeat(1_000_000));
      const latest = treeFacts(source);
      const third = both.holdfastBackup('source').snapshot;
      both.holdfast('forget', first);
      both.holdfast('repo', 'prune', 'both', '--max-unused', '0');
      expect(both.snapshots(program).map(({ id }) => id)).toEqual([second, third]);
      expectSound(program);
      expect(restoredByRestic(program, source, third)).toEqual(asResticCan(latest));
      expect(restoredByUs(source, third)).toEqual(latest);
    },
  );
});
