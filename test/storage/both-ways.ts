/** One repository, two programs: what we store restic checks and restores, what restic stores we restore. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { body } from '../../src/storage/conformance/case.ts';
import type { Trial } from '../e2e/trial.ts';

const run = promisify(execFile);

export interface BothWays {
  readonly trial: Trial;
  /** Default: restic-new. */
  readonly restic?: string;
  /** The repository's entry, in YAML, without its password. */
  readonly entry: string;
  /** restic's arguments for the same place. */
  readonly place: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** A secret that must be in no argument and no output. */
  readonly secret: string;
}

const password = 'a password';

export async function proveBothWays({
  trial,
  restic: program = 'restic-new',
  entry,
  place,
  env,
  secret,
}: BothWays): Promise<void> {
  for (let at = 0; at < 12; at++) trial.write(`docs/sub-${at % 3}/file-${at}`, body(40_000 * at + 1, at));
  trial.write('password', `${password}\n`);
  trial.write(
    'holdfast.yaml',
    `repositories:\n  far: { ${entry}, password: { file: password } }\nsources:\n  docs: { driver: files, paths: [${trial.path('docs')}], repository: far }\n`,
  );
  const printed = [await trial.ok('repo', 'init', 'far'), await trial.ok('backup', 'docs')];
  printed.push(await trial.ok('drill', 'docs'));
  expect(printed[2]).toContain('PROVEN');
  expect(printed.join('')).not.toContain(secret);
  expect(await restic('check', '--read-data')).toContain('no errors were found');
  await restic('restore', 'latest', '--target', trial.path('by-restic'));
  await same(trial.path('docs'), trial.path('by-restic', trial.path('docs')));
  await restic('backup', '--host', 'other', trial.path('docs'));
  const [{ id }] = JSON.parse(await restic('snapshots', '--json', '--host', 'other')) as { id: string }[];
  await trial.ok('restore', id, '--repository', 'far', '--to', trial.path('by-us'));
  await same(trial.path('docs'), trial.path('by-us', trial.path('docs')));

  async function restic(...args: string[]): Promise<string> {
    const own = { RESTIC_PASSWORD: password, RESTIC_CACHE_DIR: trial.path('cache') };
    const { stdout } = await run(program, [...place, ...args], { env: { ...trial.env, ...own, ...env } });
    return stdout;
  }
}

async function same(one: string, other: string): Promise<void> {
  expect((await run('diff', ['-r', one, other])).stdout).toBe('');
}
