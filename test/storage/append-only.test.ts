/** The program with a server that lets nothing be removed but locks: everything a client does works, and forgetting says where to do it. */

import { createHash } from 'node:crypto';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { Trial } from '../e2e/trial.ts';
import { startRclone } from '../servers/rclone.ts';

test('A client backs up, restores and proves, also after one that died; it cannot forget, and is told where that is done', async () => {
  const trial = new Trial();
  onTestFinished(() => trial.dispose());
  trial.write('docs/a', 'first');
  trial.write('password', 'a password\n');
  await using adding = await startRclone({ protocol: 'restic', directory: trial.path(), options: ['--append-only'] });
  await using keeping = await startRclone({ protocol: 'restic', directory: trial.path() });
  const entry = (port: number): string => `url: "rest:http://127.0.0.1:${port}/store/", password: { file: password }`;
  trial.write(
    'holdfast.yaml',
    `repositories:\n  client: { ${entry(adding.port)} }\n  keeper: { ${entry(keeping.port)} }\n` +
      `sources:\n  docs: { driver: files, paths: [${trial.path('docs')}], repository: client }\n`,
  );
  await trial.ok('repo', 'init', 'client');
  await trial.ok('backup', 'docs');
  trial.write('docs/a', 'second');
  // What a client left that died while it took its lock.
  writeFileSync(trial.path('store/locks', createHash('sha256').update('lock').digest('hex')), 'half');
  await trial.ok('backup', 'docs');
  expect(readdirSync(trial.path('store/locks'))).toEqual([]);
  await trial.ok('drill', 'docs');

  const refused = await trial.run(['forget', 'docs', '--keep-last', '1']);
  expect(refused.status).toBe(1);
  expect(refused.stderr).toMatch(/append-only server lets nothing be deleted.*run forget and prune where/s);
  expect(readdirSync(trial.path('store/locks'))).toEqual([]);
  const pruned = await trial.run(['repo', 'prune', 'client']);
  expect(pruned.status === 0 || pruned.stderr.includes('append-only')).toBe(true);
  await trial.ok('repo', 'check', 'client', '--read-data');

  await trial.ok('forget', 'docs', '--repository', 'keeper', '--keep-last', '1', '--prune');
  const out = trial.path('out');
  await trial.ok('restore', 'docs', '--repository', 'client', '--to', out);
  rmSync(out, { recursive: true });
  await trial.ok('repo', 'check', 'client', '--read-data');
});
