/** What a repository says of itself: never a secret, never in the way, and enough to carry on from. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Secret } from '../../src/base/secrets.ts';
import { openRepository, saveState } from '../../src/repository/index.ts';
import { openStorage } from '../../src/storage/open.ts';
import { storageKinds } from '../../src/storage/registry.ts';
import { initCheaply } from '../support/cheap-repository.ts';
import { program, Trial } from './trial.ts';

const password = 'Unmistakable-Password-1';
const token = 'tok_5f3a9c1b7e';
/** In the file it belongs into, and by mistake in a command line, too. */
const fileSecret = 'kept-in-a-file-4711';

let trial: Trial;

beforeAll(async () => {
  trial = new Trial();
  trial.write('srv/a', 'content');
  trial.write('password', `${password}\n`);
  trial.write('key', `${fileSecret}\n`);
  await initCheaply(trial.path('repository'), password);
});
afterAll(() => trial.dispose());

function configure(...more: readonly string[]): void {
  trial.write(
    'holdfast.yaml',
    [
      `# the password was ${password} once; token: ${token}`,
      `repositories: { nas: { url: ./repository, password: "${password}" } }`,
      'sources:',
      '  data: { driver: files, paths: [./srv], repository: nas }',
      `  dump: { driver: command, command: [sh, -c, "echo hello # --token=${token} ${password} -p${fileSecret}"], env: { API_TOKEN: ${token} }, secrets: { KEY: "${token}", OTHER: { file: ./key } }, repository: nas }  # -p${fileSecret}`,
      `notifications: { phone: { ntfy: "https://ntfy.example/backups", token: "${token}" } }`,
      ...more,
      '',
    ].join('\n'),
  );
}

function restic(...args: readonly string[]): string {
  const env = { ...trial.env, RESTIC_PASSWORD: password };
  return execFileSync('restic', ['--no-cache', '-r', trial.path('repository'), ...args], { env, encoding: 'utf8' });
}

function piped(input: string, ...args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(program, args, { cwd: trial.folder, env: trial.env, input, encoding: 'utf8' });
}

interface Listed {
  readonly snapshots: readonly { readonly id: string; readonly tags: readonly string[] }[];
}
interface Backup {
  readonly ok: boolean;
  readonly states: readonly { readonly outcome: string }[];
}

describe('the configuration in a repository', () => {
  test('is stored with the backup, without any secret in any form', async () => {
    configure();
    const { ok, states } = await trial.json<Backup>('backup', '--all');
    expect([ok, states.map((one) => one.outcome)]).toEqual([true, ['stored']]);
    restic('restore', 'latest', '--tag', 'holdfast-state', '--target', trial.path('state'));
    const folder = trial.path('state/holdfast-state');
    expect(readdirSync(folder).sort((a, b) => (a < b ? -1 : 1))).toEqual(['README.txt', 'holdfast.yaml', 'state.json']);
    const all = readdirSync(folder).map((name) => readFileSync(`${folder}/${name}`, 'utf8'));
    for (const secret of [password, token, fileSecret]) expect(all.join('\n')).not.toContain(secret);
    expect(all.join('\n')).toContain('HOLDFAST_REPOSITORIES_NAS_PASSWORD');
  });

  test('is in nobody’s way: not in lists, not latest, not for restic either', async () => {
    expect((await trial.json<Listed>('snapshots')).snapshots).toHaveLength(2);
    expect((await trial.json<Listed>('snapshots', '--all')).snapshots).toHaveLength(3);
    const [latest] = JSON.parse(restic('snapshots', '--json', 'latest')) as Listed['snapshots'];
    expect(latest.tags).not.toContain('holdfast-state');
    expect(await trial.ok('find', 'a', 'state.json')).not.toContain('state.json');
    expect(restic('check', '--read-data')).toContain('no errors were found');
  });

  test('adds nothing while it is the same, and a new one when it changed; the newest is never removed', async () => {
    const statesNow = (): number => JSON.parse(restic('snapshots', '--json', '--tag', 'holdfast-state')).length;
    const again = await trial.json<Backup>('backup', 'data');
    expect([again.states.map((one) => one.outcome), statesNow()]).toEqual([['unchanged'], 1]);
    for (let i = 0; i < 7; i++) {
      configure(`x-change: ${i}`);
      expect((await trial.json<Backup>('backup', 'data')).states[0].outcome).toBe('stored');
    }
    const { snapshots } = await trial.json<Listed>('snapshots', '--all');
    const states = snapshots.filter((one) => one.tags.includes('holdfast-state'));
    expect(states).toHaveLength(5);
    const forgotten = await trial.run(['forget', states.at(-1)!.id]);
    expect([forgotten.status, forgotten.stderr]).toEqual([1, expect.stringContaining('newest good')]);
    await trial.ok('forget', 'data', '--keep-last', '1', '--prune');
    const text = await trial.ok('cat', states.at(-1)!.id, '/holdfast-state/holdfast.yaml');
    expect(text).toContain('x-change: 6');
  });

  test('names the variables that take what stood in the clear, and works once they are set', async () => {
    rmSync(trial.path('holdfast.yaml'));
    const { stdout } = piped('', 'init', '--from', './repository', '--password-file', 'password');
    expect(stdout).toContain('env HOLDFAST_REPOSITORIES_NAS_PASSWORD: has to be provided again');
    expect(stdout).toContain('sources.dump.env.API_TOKEN: held a secret');
    const env = {
      ...trial.env,
      HOLDFAST_REPOSITORIES_NAS_PASSWORD: password,
      HOLDFAST_SOURCES_DUMP_SECRETS_KEY: token,
    };
    const backup = spawnSync(program, ['backup', '--all'], { cwd: trial.folder, env, encoding: 'utf8' });
    expect([backup.status, backup.stderr]).toEqual([0, expect.any(String)]);
  });

  test('follows the repository to another address', () => {
    renameSync(trial.path('repository'), trial.path('elsewhere'));
    rmSync(trial.path('holdfast.yaml'));
    const { stdout, status } = piped(`${password}\n`, 'init', '--from', `file://${trial.path('elsewhere')}`);
    expect([status, stdout]).toEqual([0, expect.stringContaining('is at another address now')]);
    expect(readFileSync(trial.path('holdfast.yaml'), 'utf8')).toContain(trial.path('elsewhere'));
    renameSync(trial.path('elsewhere'), trial.path('repository'));
  });

  test('is that of the machine a person names, where several use the repository', async () => {
    const storage = await openStorage(storageKinds, trial.path('repository'), { create: false });
    await using repository = await openRepository({ storage, password: new Secret(password) });
    const facts = { format: 1, repository: { name: 'r', id: '' }, hostname: 'other', configFile: '/etc/h.yaml' };
    const yaml = 'repositories: { r: { url: /elsewhere, password: { env: X } } }\n';
    const files = new Map([
      ['holdfast.yaml', Buffer.from(yaml)],
      ['state.json', Buffer.from(JSON.stringify({ ...facts, secrets: [], replaced: [], effective: {} }))],
    ]);
    const record = { hostname: 'other', path: '/etc/h.yaml', files, timeMs: 1_700_000_000_000, programVersion: 'x' };
    await saveState(repository, record);
    const first = piped(`${password}\n`, '--json', '--config', 'own.yaml', 'init', '--from', './repository');
    expect(JSON.parse(first.stdout)).toMatchObject({ otherStates: [{ hostname: 'other', configFile: '/etc/h.yaml' }] });
    piped(`${password}\n`, '--config', 'theirs.yaml', 'init', '--from', './repository', '--host', 'other');
    expect(readFileSync(trial.path('theirs.yaml'), 'utf8')).toContain('env: X');
    const none = piped(`${password}\n`, '--config', 'x.yaml', 'init', '--from', './repository', '--host', 'nobody');
    expect([none.status, none.stderr]).toEqual([2, expect.stringContaining('«nobody»')]);
  });
});

test('a repository that restic made becomes a configuration to complete, and its history goes on', async () => {
  rmSync(trial.path('repository'), { recursive: true });
  restic('init');
  trial.write('srv/large', Buffer.alloc(3_000_000, 'never the same '.repeat(7)));
  cpSync(program, trial.path('srv/program'));
  restic('backup', trial.path('srv'));
  restic('backup', '--host', 'another', trial.path('password'));
  const made = piped(`${password}\n`, '--config', 'skeleton.yaml', 'init', '--from', './repository');
  expect([made.status, made.stdout]).toEqual([0, expect.stringContaining('holds no configuration')]);
  const yaml = readFileSync(trial.path('skeleton.yaml'), 'utf8');
  expect(yaml).toMatch(/^ {2}srv: \{ driver: files/m);
  expect(yaml).toMatch(/^ {2}# password: .*\n?/m);
  await trial.ok('--config', 'skeleton.yaml', 'validate', '--secrets');
  const { results } = await trial.json<{ results: { addedBytes: number; bytes: number }[] }>(
    ...['--config', 'skeleton.yaml', 'backup', '--all'],
  );
  expect(results).toHaveLength(1);
  expect(results[0].addedBytes).toBeLessThan(results[0].bytes / 20);
  expect(readFileSync(trial.path('home/.config/holdfast/password'), 'utf8').trim()).toBe(password);
});
