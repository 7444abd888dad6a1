/** Passwords one program added open the repository for the other, and those it removed do not. */
import { writeFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { BothPrograms } from '../support/both-programs.ts';

const both = new BothPrograms('source');
afterAll(() => both[Symbol.dispose]());

interface ResticKey {
  readonly id: string;
  readonly current: boolean;
}

test('each opens what the other one added a password to, and not what it removed', async () => {
  for (const name of ['first', 'sécond']) writeFileSync(both.path(`home/${name}`), `the ${name} password`);
  both.restic('restic', 'init');
  both.restic('restic-new', 'key', 'add', '--new-password-file', both.path('home/first'));
  both.configure(['source'], 'home/first');
  both.holdfastBackup('source');
  both.holdfast('repo', 'key', 'add', 'both', '--new-password-file', both.path('home/sécond'));
  both.env.RESTIC_PASSWORD_FILE = both.path('home/sécond');
  expect(both.snapshots('restic')).toHaveLength(1);
  const theirs = JSON.parse(both.restic('restic-new', 'key', 'list', '--json')) as ResticKey[];
  expect(theirs).toHaveLength(3);
  const ours = both.holdfast('repo', 'key', 'list', 'both');
  expect(theirs.every(({ id }) => ours.includes(id.slice(0, 8)))).toBe(true);
  // Each removes a key it does not use; then that opens nothing any more.
  both.configure(['source'], 'home/sécond');
  const [one, other] = theirs.filter((key) => !key.current);
  both.restic('restic-new', 'key', 'remove', one.id);
  both.holdfast('repo', 'key', 'remove', 'both', other.id);
  expect((JSON.parse(both.restic('restic', 'key', 'list', '--json')) as ResticKey[]).length).toBe(1);
  both.configure(['source'], 'home/first');
  expect((await both.run('holdfast', ['--json', 'snapshots'])).stdout).toContain('repository.wrong-password');
  both.env.RESTIC_PASSWORD_FILE = both.path('home/password');
  expect((await both.run('restic', ['snapshots'])).stderr).toContain('wrong password');
});
