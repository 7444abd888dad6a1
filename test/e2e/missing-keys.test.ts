/** A password or key that is missing is refused and never made anew: a new one opens nothing that is stored. */
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { initCheaply } from '../support/cheap-repository.ts';
import { Trial } from './trial.ts';

const trial = new Trial();
afterAll(() => trial.dispose());

beforeAll(async () => {
  trial.write('srv/a', 'content');
  await initCheaply(trial.path('made'), 'the password');
});

beforeEach(() => {
  rmSync(trial.path('repository'), { recursive: true, force: true });
  cpSync(trial.path('made'), trial.path('repository'), { recursive: true });
  trial.write('password', 'the password');
  trial.write(
    'holdfast.yaml',
    `repositories: { nas: { url: ./repository, password: { file: ./password } } }
sources: { data: { driver: files, paths: [./srv], repository: nas } }\n`,
  );
});

/** Names of all that is stored; locks come and go. */
function everything(): Set<string> {
  const names = readdirSync(trial.path('repository'), { recursive: true, encoding: 'utf8' });
  return new Set(names.filter((name) => !name.startsWith('locks')));
}

/** The command ends with `status`, says `message`, and changes nothing in the repository. */
async function refused(status: number, message: string | RegExp, ...args: readonly string[]): Promise<string> {
  const before = everything();
  const { status: ended, stderr, stdout } = await trial.run(args);
  const said = stderr + stdout;
  expect([args, ended, said]).toEqual([args, status, expect.stringMatching(message)]);
  expect(everything()).toEqual(before);
  return said;
}

test.each([
  ['is missing', () => rmSync(trial.path('password')), /it does not exist\n {2}.*never made anew/],
  ['is empty', () => trial.write('password', '\n'), /is empty\n {2}.*never made anew/],
  ['is another one', () => trial.write('password', 'another'), /none of the 1 key\(s\) .* opens with this password/],
])('a password file that %s', async (_, damage, message) => {
  damage();
  const before = existsSync(trial.path('password')) ? readFileSync(trial.path('password'), 'utf8') : undefined;
  const status = String(message).includes('none') ? 1 : 2;
  await refused(status, message, 'snapshots');
  await refused(status, message, 'repo', 'key', 'rotate', 'nas');
  await refused(status, message, 'repo', 'recovery-kit', 'nas');
  const backup = await trial.run(['backup', 'data']);
  expect([backup.status, backup.stderr + backup.stdout]).toEqual([
    1,
    expect.stringMatching(String(message).includes('none') ? /opens with/ : /never made anew/),
  ]);
  const after = existsSync(trial.path('password')) ? readFileSync(trial.path('password'), 'utf8') : undefined;
  expect(after).toBe(before);
});

test('a new repository over one that is there, or over what is left of one', async () => {
  await refused(1, /there is a repository at .* already/, 'repo', 'init', 'nas');
  rmSync(trial.path('repository/config'));
  await refused(1, /parts of a repository .*keys.* but no config/, 'repo', 'init', 'nas');
  rmSync(trial.path('repository/keys'), { recursive: true });
  cpSync(trial.path('holdfast.yaml'), trial.path('repository/snapshots/0'.padEnd(40, '0')));
  await refused(1, /parts of a repository/, 'repo', 'init', 'nas');
});

test('keys that are gone are not replaced', async () => {
  rmSync(trial.path('repository/keys'), { recursive: true });
  await refused(1, /has no key files\n {2}Restore the folder keys/, 'snapshots');
  await refused(1, /there is a repository at .* already/, 'repo', 'init', 'nas');
});

test('a first configuration for a place that has a repository makes no new password for it', async () => {
  const init = ['--config', 'other.yaml', 'init', '--repository', './repository', '--root', trial.path('srv')];
  const said = await refused(1, /there is a repository at .* already/, ...init, '--password-file', 'fresh');
  expect(said).toContain(`holdfast init --from ${trial.path('repository')}`);
  expect([existsSync(trial.path('fresh')), existsSync(trial.path('other.yaml'))]).toEqual([false, false]);
  trial.write('empty', '');
  const empty = [...init.slice(0, 4), './elsewhere', ...init.slice(5), '--password-file', 'empty'];
  await refused(2, /is empty/, ...empty);
  expect(statSync(trial.path('empty')).size).toBe(0);
  // With its own password it is just used.
  await trial.ok(...init, '--password-file', 'password');
  expect(readFileSync(trial.path('password'), 'utf8')).toBe('the password');
});

test('the last key and the one in use stay', async () => {
  const { keys } = await trial.json<{ keys: { id: string }[] }>('repo', 'key', 'list', 'nas');
  await refused(1, /is the one this command opened the repository with/, 'repo', 'key', 'remove', 'nas', keys[0].id);
});
