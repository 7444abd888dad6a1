/** What a server does day and night must leave nothing behind in its memory: no work stays bound to a signal after its end. */
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { initCheaply } from '../support/cheap-repository.ts';
import { mark } from '../support/left-listeners.ts';
import { Trial } from './trial.ts';

const watch = fileURLToPath(new URL('../support/left-listeners.ts', import.meta.url));

class WatchedTrial extends Trial {
  override get env(): NodeJS.ProcessEnv {
    return { ...super.env, NODE_OPTIONS: `--import=${watch}` };
  }
}

let trial: Trial;

beforeAll(async () => {
  trial = new WatchedTrial();
  trial.write('home/password', 'a password');
  trial.write('docs/file', 'text\n');
  trial.sqlite('db.sqlite', 'CREATE TABLE t(a); INSERT INTO t VALUES (1)');
  const password = { file: './home/password' };
  for (const name of ['nas', 'r2']) await initCheaply(trial.path(name), 'a password');
  const config = {
    repositories: { nas: { url: './nas', password }, r2: { url: './r2', password } },
    policies: { nightly: { schedule: '0 2 * * *', repositories: ['nas', { name: 'r2', keep: { last: 1 } }] } },
    sources: {
      docs: { driver: 'files', paths: ['./docs'], policy: 'nightly' },
      db: { driver: 'sqlite', path: './db.sqlite', policy: 'nightly' },
      words: { driver: 'command', command: ['echo', 'words'], policy: 'nightly' },
    },
  };
  trial.write('holdfast.yaml', JSON.stringify(config));
});
afterAll(() => trial.dispose());

test.each([
  ['backup', '--all'],
  ['backup', '--all'],
  ['drill', '--all'],
  ['restore', 'docs', '--to', './restored'],
  ['forget', '--all', '--prune', '--repository', 'r2'],
  ['repo', 'check', 'nas', '--read-data'],
  ['find', 'file'],
])('holdfast %s %s lets go of every signal', async (...args) => {
  const { status, stderr } = await trial.run(args);
  expect(stderr).not.toContain(mark);
  expect(status, stderr).toBe(0);
});
