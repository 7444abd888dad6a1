/** A source in several repositories, as a person runs it: backed up once, copied to the others, caught up by itself. */
import { randomBytes } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { initCheaply } from '../support/cheap-repository.ts';
import { type Outcome, Trial } from './trial.ts';

let trial: Trial;

interface Result {
  readonly source: string;
  readonly repository: string;
  readonly action: string;
  readonly ok: boolean;
  readonly snapshot?: string;
  readonly copied?: number;
  readonly from?: string;
  readonly away?: { readonly since?: string; readonly message: string };
  readonly error?: { readonly code: string };
}

interface Place {
  readonly source: string;
  readonly repository: string;
  readonly ok: boolean;
  readonly snapshots: number;
  readonly keep?: object;
  readonly copies?: { readonly missing: number; readonly behind: number };
  readonly concerns: readonly { readonly kind: string }[];
}

interface Status {
  readonly ok: boolean;
  readonly sources: readonly Place[];
  readonly repositories: readonly {
    readonly name: string;
    readonly ok: boolean;
    readonly state: string;
    readonly awaySince?: string;
    readonly lastCopy?: { readonly ok: boolean; readonly copied: number };
    readonly lastCheck?: { readonly ok: boolean; readonly data: string };
  }[];
  readonly elsewhere: readonly { readonly source: string; readonly repository: string; readonly snapshots: number }[];
}

function configure(placements: unknown[], repositories: Record<string, object> = {}): void {
  const password = { file: './home/password' };
  const config = {
    repositories: {
      nas: { url: './nas', password },
      r2: { url: './r2', password, ...repositories.r2 },
      ...(repositories.usb ? { usb: { url: './mount/usb', password, ...repositories.usb } } : {}),
    },
    policies: { nightly: { schedule: '0 2 * * *', repositories: placements } },
    sources: { docs: { driver: 'files', paths: ['./docs'], policy: 'nightly' } },
  };
  trial.write('holdfast.yaml', JSON.stringify(config));
}

async function backUp(): Promise<{ outcome: Outcome; results: Result[] }> {
  appendFileSync(trial.path('docs/file'), `more ${Math.random()}\n`);
  const outcome = await trial.run(['--json', 'backup', '--all']);
  const last = JSON.parse(outcome.stdout.trimEnd().split('\n').at(-1)!) as { results: Result[] };
  return { outcome, results: last.results };
}

const status = async (): Promise<Status> => await trial.json<Status>('status');
const placeOf = (state: Status, repository: string): Place =>
  state.sources.find((one) => one.repository === repository)!;

beforeEach(async () => {
  trial = new Trial();
  trial.write('home/password', 'a password');
  trial.write('docs/file', 'text\n');
  await initCheaply(trial.path('nas'), 'a password');
  await initCheaply(trial.path('r2'), 'a password');
});
afterEach(() => trial.dispose());

describe('a backup', () => {
  test('reads its source once and fills the other repositories by copying', async () => {
    configure(['nas', { name: 'r2', keep: { last: 2 } }]);
    const { outcome, results } = await backUp();
    expect(outcome.status).toBe(0);
    expect(results).toMatchObject([
      { repository: 'nas', action: 'backup', ok: true },
      { repository: 'r2', action: 'copy', ok: true, copied: 1, from: 'nas' },
    ]);
    for (let i = 0; i < 3; i++) await backUp();
    await trial.ok('forget', '--all', '--prune', '--repository', 'r2');
    const { results: after } = await backUp();
    // What r2 would remove again is not sent to it again.
    expect(after[1]).toMatchObject({ copied: 1 });
    const state = await status();
    expect(placeOf(state, 'nas').snapshots).toBe(5);
    expect(placeOf(state, 'r2')).toMatchObject({ snapshots: 3, copies: { missing: 0 }, keep: { last: 2 } });
    expect(state.repositories[1]).toMatchObject({ name: 'r2', state: 'ready', lastCopy: { ok: true, copied: 1 } });
    expect(await trial.ok('repo', 'check', 'r2', '--read-data')).toContain('no errors');
    expect((await status()).repositories[1].lastCheck).toMatchObject({ ok: true, data: 'all' });
  });

  test('whose copy fails is stored, says so with status 1, and is caught up by the next one', async () => {
    configure(['nas', 'r2']);
    await backUp();
    renameSync(trial.path('r2'), trial.path('gone'));
    const failed = [await backUp(), await backUp()];
    for (const { outcome, results } of failed) {
      expect(outcome.status).toBe(1);
      expect(results).toMatchObject([
        { repository: 'nas', ok: true },
        { repository: 'r2', action: 'copy', ok: false, error: { code: 'storage.not-found' } },
      ]);
    }
    // Nothing is made anew where something is missing.
    expect(existsSync(trial.path('r2'))).toBe(false);
    renameSync(trial.path('gone'), trial.path('r2'));
    const behind = await status();
    expect(placeOf(behind, 'r2')).toMatchObject({ ok: false, copies: { missing: 2, behind: 2 } });
    expect(placeOf(behind, 'r2').concerns.map(({ kind }) => kind)).toContain('copies-behind');
    const text = await trial.run(['status']);
    expect(text.stdout).toContain('holdfast repo copy nas --to r2 --source docs');
    const { outcome, results } = await backUp();
    expect(outcome.status).toBe(0);
    expect(results[1]).toMatchObject({ ok: true, copied: 3 });
  });

  test('goes into the next repository while the first is not there, and comes back to it later', async () => {
    configure(['nas', 'r2']);
    await backUp();
    renameSync(trial.path('nas'), trial.path('gone'));
    const { outcome, results } = await backUp();
    expect(outcome.status).toBe(1);
    expect(results).toMatchObject([
      { repository: 'nas', ok: false, error: { code: 'storage.not-found' } },
      { repository: 'r2', action: 'backup', ok: true },
    ]);
    renameSync(trial.path('gone'), trial.path('nas'));
    const { results: again } = await backUp();
    expect(again).toMatchObject([
      { repository: 'nas', action: 'backup', ok: true },
      { repository: 'r2', action: 'copy', copied: 1, from: 'nas' },
      { repository: 'nas', action: 'copy', copied: 1, from: 'r2' },
    ]);
    const state = await status();
    expect(state.sources.map((one) => one.snapshots)).toEqual([3, 3]);
    expect((await backUp()).results).toHaveLength(2);
  });
});

describe('a disk that is not always there', () => {
  const usb = { mayBeAway: '14d' };

  test('is away without a fault, never made anew in its empty mount point, and catches up by itself', async () => {
    configure(['nas', 'usb'], { usb });
    mkdirSync(trial.path('mount'));
    await initCheaply(trial.path('mount/usb'), 'a password');
    await backUp();
    renameSync(trial.path('mount'), trial.path('pulled-out'));
    mkdirSync(trial.path('mount/usb'), { recursive: true });
    for (let i = 0; i < 2; i++) {
      const { outcome, results } = await backUp();
      expect(outcome.status).toBe(0);
      expect(results[1]).toMatchObject({ repository: 'usb', ok: true, copied: 0 });
      expect(results[1].away!.message).toMatch(/^away since 20/);
    }
    const init = await trial.run(['repo', 'init', 'usb']);
    expect(init.status).toBe(1);
    expect(init.stderr).toMatch(/mount/);
    expect(readdirSync(trial.path('mount/usb'))).toEqual([]);
    expect((await trial.run(['forget', '--all', '--keep-last', '5'])).stderr).toContain('usb is away');
    const away = await status();
    expect(placeOf(away, 'usb')).toMatchObject({ ok: true, concerns: [] });
    expect(away.repositories.find(({ name }) => name === 'usb')).toMatchObject({ state: 'away', ok: true });
    rmSync(trial.path('mount'), { recursive: true });
    renameSync(trial.path('pulled-out'), trial.path('mount'));
    expect((await backUp()).results[1]).toMatchObject({ ok: true, copied: 3 });
  });

  test('is a fault once its newest snapshot is older than may be, or when it was never there', async () => {
    configure(['nas', 'usb'], { usb: { mayBeAway: '1s' } });
    const never = await backUp();
    expect(never.outcome.status).toBe(1);
    expect(never.results[1].away!.message).toContain('never seen');
    mkdirSync(trial.path('mount'));
    await initCheaply(trial.path('mount/usb'), 'a password');
    await backUp();
    renameSync(trial.path('mount'), trial.path('pulled-out'));
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const late = await backUp();
    expect(late.outcome.status).toBe(1);
    expect(late.results).toMatchObject([
      { repository: 'nas', ok: true },
      { repository: 'usb', ok: false },
    ]);
    expect(late.results[1].away!.message).toMatch(/is allowed/);
    const state = await status();
    expect(placeOf(state, 'usb').concerns.map(({ kind }) => kind)).toEqual(['away-too-long']);
  });
});

test('a repository that was made like another one shares copies with backups of its own', async () => {
  rmSync(trial.path('r2'), { recursive: true });
  configure(['nas', 'r2']);
  trial.write('docs/large', randomBytes(6_000_000));
  await trial.ok('repo', 'init', 'r2', '--like', 'nas');
  await backUp();
  const { results } = await trial.json<{ results: { addedBytes: number }[] }>(
    'backup',
    'docs',
    '--repository',
    'r2',
    '--force',
  );
  expect(results[0].addedBytes).toBeLessThan(100_000);
});

test('changing the repository of a source moves nothing and deletes nothing, and status says what is left where', async () => {
  configure(['nas']);
  for (let i = 0; i < 2; i++) await backUp();
  const before = readdirSync(trial.path('nas/snapshots')).toSorted();
  configure(['r2']);
  const { results } = await backUp();
  expect(results).toMatchObject([{ repository: 'r2', action: 'backup' }]);
  expect(readdirSync(trial.path('nas/snapshots')).toSorted()).toEqual(before);
  const state = await status();
  expect(placeOf(state, 'r2').snapshots).toBe(1);
  expect(state.elsewhere).toEqual([{ source: 'docs', repository: 'nas', snapshots: 2 }]);
  configure(['r2', 'nas']);
  const { results: both } = await backUp();
  expect(both.filter(({ repository }) => repository === 'r2')).toHaveLength(1);
  await trial.ok('repo', 'copy', 'nas', '--to', 'r2', '--source', 'docs');
  expect(placeOf(await status(), 'r2').snapshots).toBe(4);
});
