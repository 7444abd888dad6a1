/** Copies between repositories of two passwords: ours and restic's know each other's, and each restores what the other copied. */
import { appendFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { BothPrograms, type ResticProgram, resticPrograms } from '../support/both-programs.ts';
import { initCheaply } from '../support/cheap-repository.ts';
import { treeFacts } from '../support/tree-facts.ts';

let both: BothPrograms;
afterEach(() => both[Symbol.dispose]());

/** The repository of `BothPrograms` and another one, empty, with a password of its own. */
async function twoRepositories(): Promise<void> {
  both = new BothPrograms('source');
  writeFileSync(both.path('home/other'), 'another password');
  const config = {
    repositories: {
      both: { url: './repository', password: { file: './home/password' } },
      other: { url: './other', password: { file: './home/other' } },
    },
    sources: { source: { driver: 'files', paths: ['./source'], repository: 'both' } },
  };
  writeFileSync(both.path('holdfast.yaml'), JSON.stringify(config));
  await initCheaply(both.repository, 'a password');
  await initCheaply(both.path('other'), 'another password');
}

/** restic on the other repository. */
function resticOther(program: ResticProgram, ...args: string[]): string {
  return both.restic(program, '-r', both.path('other'), '--password-file', both.path('home/other'), ...args);
}

interface Listed {
  readonly id: string;
  readonly tree: string;
  readonly original?: string;
  readonly tags?: readonly string[];
}

const listedIn = {
  both: (program: ResticProgram): Listed[] => JSON.parse(both.restic(program, 'snapshots', '--json')) as Listed[],
  other: (program: ResticProgram): Listed[] => JSON.parse(resticOther(program, 'snapshots', '--json')) as Listed[],
};

function ofSources(listed: readonly Listed[]): Listed[] {
  return listed.filter((one) => !one.tags?.includes('holdfast-state'));
}

interface CopyResult {
  readonly copied: readonly { readonly snapshot: string; readonly copy: string; readonly bytes: number }[];
  readonly sameCuts: boolean;
}

function copied(...args: string[]): CopyResult {
  const lines = both
    .holdfast('--json', 'repo', 'copy', ...args)
    .trimEnd()
    .split('\n');
  return JSON.parse(lines.at(-1)!) as CopyResult;
}

function resticCopy(program: ResticProgram): void {
  resticOther(program, 'copy', '--from-repo', both.repository, '--from-password-file', both.path('home/password'));
}

function makeSource(program: ResticProgram): string {
  both.makeHostile('source');
  // restic 0.14 has no place for link targets that are not UTF-8, restic counts nanoseconds in 64 bits.
  rmSync(both.path('source/link-bytes'));
  rmSync(both.path('source/far'), { force: true });
  expect(program).toBeDefined();
  return both.path('source');
}

function expectSound(program: ResticProgram): void {
  expect(resticOther(program, 'check', '--read-data')).toContain('no errors were found');
}

function packs(folder: string): string[] {
  const data = both.path(folder, 'data');
  return readdirSync(data).flatMap((one) => readdirSync(join(data, one)));
}

describe.each(resticPrograms)('%s', (program) => {
  test('checks and restores what we copied, and does not copy it again', async () => {
    await twoRepositories();
    const source = makeSource(program);
    const before = treeFacts(source);
    both.holdfastBackup('source');
    appendFileSync(join(source, 'several-blobs'), 'and more\n');
    both.holdfastBackup('source');
    const { copied: made, sameCuts } = copied('both', '--to', 'other');
    expect(made).toHaveLength(2);
    expect(sameCuts).toBe(false);
    expectSound(program);
    const originals = new Map(ofSources(listedIn.both(program)).map((one) => [one.id, one.tree]));
    for (const one of ofSources(listedIn.other(program))) expect(originals.get(one.original!)).toBe(one.tree);
    const target = both.path('restored');
    resticOther(program, 'restore', made[1].copy, '--target', target);
    expect(treeFacts(join(target, source))).toEqual(before);
    const stored = packs('other');
    expect(copied('both', '--to', 'other').copied).toEqual([]);
    resticCopy(program);
    expect(ofSources(listedIn.other(program))).toHaveLength(2);
    expect(packs('other')).toEqual(expect.arrayContaining(stored));
    // Back to where they came from nothing has to go, either.
    expect(copied('other', '--to', 'both').copied).toEqual([]);
  });

  test('has copied what we do not copy again, and its own snapshots are copied like ours', async () => {
    await twoRepositories();
    const source = makeSource(program);
    const before = treeFacts(source);
    both.resticBackup(program, 'source', '--tag', 'one');
    resticCopy(program);
    expect(copied('both', '--to', 'other').copied).toEqual([]);
    // Copies that are there without the state, as after a run that failed: it is seen to.
    expect(listedIn.other(program).filter((one) => one.tags?.includes('holdfast-state'))).toHaveLength(1);
    writeFileSync(join(source, 'new'), 'new');
    both.resticBackup(program, 'source', '--tag', 'two');
    const { copied: made } = copied('both', '--to', 'other');
    expect(made).toHaveLength(1);
    // The new file, and the trees on the way to it.
    expect(made[0].bytes).toBeLessThan(20_000);
    expectSound(program);
    rmSync(join(source, 'new'));
    const target = both.path('restored');
    both.holdfast('restore', ofSources(listedIn.other(program))[0].id, '--repository', 'other', '--to', target);
    expect([...treeFacts(join(target, source)).objects.keys()]).toEqual([...before.objects.keys()]);
    resticCopy(program);
    expect(ofSources(listedIn.other(program))).toHaveLength(2);
  });
});

test('says what it would copy, and copies what is named', async () => {
  await twoRepositories();
  writeFileSync(both.path('source/file'), 'one');
  const first = both.holdfastBackup('source');
  writeFileSync(both.path('source/file'), 'two');
  both.holdfastBackup('source');
  both.resticBackup('restic', 'source');
  expect(both.holdfast('repo', 'copy', 'both', '--to', 'other', '--dry-run')).toContain(
    '3 snapshots would be copied from both to other',
  );
  expect(listedIn.other('restic')).toEqual([]);
  expect(copied('both', '--to', 'other', '--snapshot', first.snapshot.slice(0, 8)).copied).toMatchObject([
    { snapshot: first.snapshot },
  ]);
  expect(copied('both', '--to', 'other', '--source', 'source').copied).toHaveLength(1);
  expect(both.holdfast('repo', 'copy', 'both', '--to', 'other')).toContain('1 snapshot copied from both to other');
  expect(both.holdfast('repo', 'copy', 'both', '--to', 'other')).toContain('has everything');
  expect(() => both.holdfast('repo', 'copy', 'both', '--to', 'both')).toThrow(/itself/);
});
