/** What one program stored is not stored again by the other: equal files are equal blobs, equal directories equal trees. */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { BothPrograms, resticPrograms } from '../support/both-programs.ts';

let both: BothPrograms;
afterEach(() => both[Symbol.dispose]());

/** Bytes that do not compress, the same for the same name. */
function noise(name: string, bytes: number): Buffer {
  return createHash('shake256', { outputLength: bytes }).update(name).digest();
}

const directories = 30;

/** Files of none, one and several blobs in as many directories; names and times that both have to write alike. */
function prepare(): void {
  both = new BothPrograms('source');
  for (let i = 0; i < directories; i++) {
    const directory = both.path('source', `directory <${i}> "ü"`);
    mkdirSync(directory);
    for (let k = 0; k < 20; k++) writeFileSync(`${directory}/small ${k}\\`, `${i} and ${k}\n`.repeat(k * 10));
  }
  for (const name of ['one', 'two', 'three']) writeFileSync(both.path('source', name), noise(name, 6_000_000));
  writeFileSync(both.path('source/text'), 'the same again and again\n'.repeat(300_000));
}

/** The directories above the source, which change with what is beside it, and the root. */
const treesAbove = 3;

describe.each(resticPrograms)('%s', (program) => {
  test('adds no blob to what we stored', () => {
    prepare();
    both.holdfast('repo', 'init', 'both');
    const ours = both.holdfastBackup('source');
    expect(ours.addedBytes).toBeGreaterThan(18_000_000);
    const theirs = both.resticBackup(program, 'source', '--force');
    expect(theirs.total_bytes_processed).toBe(ours.bytes);
    expect(theirs.data_blobs).toBe(0);
    expect(theirs.tree_blobs).toBeLessThanOrEqual(treesAbove);
    expect(theirs.data_added).toBeLessThan(ours.bytes / 1000);
  });

  test('leaves us no blob to add', () => {
    prepare();
    both.restic(program, 'init');
    const theirs = both.resticBackup(program, 'source');
    expect(theirs.tree_blobs).toBeGreaterThan(directories);
    const ours = both.holdfastBackup('source', '--force');
    expect(ours.bytes).toBe(theirs.total_bytes_processed);
    expect(ours.addedBytes).toBeLessThan(ours.bytes / 1000);
    // And without --force, where every file is known from restic's snapshot.
    expect(both.holdfastBackup('source').addedBytes).toBeLessThan(ours.bytes / 1000);
  });
});
