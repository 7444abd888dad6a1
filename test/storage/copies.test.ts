/** A local repository and its copy in a bucket: filled by the backup, checked and restored by restic, restored by us. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Trial } from '../e2e/trial.ts';
import { type S3Server, startMoto } from '../servers/s3-moto.ts';

let moto: S3Server;
let trial: Trial;
const [ownPassword, farPassword] = ['a password of the disk', 'another one of the bucket'];

beforeAll(async () => {
  trial = new Trial();
  moto = await startMoto();
  trial.write('own', ownPassword);
  trial.write('far', farPassword);
  trial.write('secret', moto.env.AWS_SECRET_ACCESS_KEY);
  const s3 = `{ pathStyle: true, accessKeyId: ${moto.env.AWS_ACCESS_KEY_ID}, secretAccessKey: { file: ./secret } }`;
  trial.write(
    'holdfast.yaml',
    `
repositories:
  disk: { url: ./disk, password: { file: ./own } }
  bucket:
    url: "s3:${moto.endpoint}/backups/holdfast"
    s3: ${s3}
    password: { file: ./far }
    limits: { upload: 200MiB/s, download: 200MiB/s, concurrency: 3 }
policies:
  nightly: { repositories: [disk, { name: bucket, keep: { last: 2 } }] }
sources:
  docs: { driver: files, paths: [./docs], policy: nightly }
`,
  );
  trial.write('docs/large', randomBytes(20_000_000));
  trial.write('docs/sub/small', 'small');
});

afterAll(async () => {
  await moto[Symbol.asyncDispose]();
  trial.dispose();
});

function restic(...args: string[]): string {
  const env = { ...trial.env, ...moto.env, RESTIC_PASSWORD: farPassword, RESTIC_CACHE_DIR: trial.path('cache') };
  return execFileSync('restic', ['-r', `s3:${moto.endpoint}/backups/holdfast`, ...args], { encoding: 'utf8', env });
}

interface Result {
  readonly repository: string;
  readonly action: string;
  readonly ok: boolean;
  readonly copied?: number;
  readonly bytes?: number;
}

test('what a backup stored on the disk is copied into the bucket, new data only, and restored from there', async () => {
  await trial.ok('repo', 'init', 'disk');
  await trial.ok('repo', 'init', 'bucket');
  const first = await trial.json<{ results: Result[] }>('backup', '--all');
  expect(first.results).toMatchObject([
    { repository: 'disk' },
    { repository: 'bucket', action: 'copy', copied: 1, ok: true },
  ]);
  trial.write('docs/sub/new', 'new');
  const { results } = await trial.json<{ results: Result[] }>('backup', '--all');
  expect(results[1]).toMatchObject({ copied: 1, ok: true });
  expect(results[1].bytes).toBeLessThan(10_000);
  expect(restic('check', '--read-data')).toContain('no errors were found');
  const target = trial.path('by-restic');
  restic('restore', 'latest', '--tag', 'source:docs', '--target', target);
  expect(readFileSync(`${target}${trial.path('docs/large')}`).equals(readFileSync(trial.path('docs/large')))).toBe(
    true,
  );
  // The disk is lost: the bucket has it all, and its password is all it takes.
  rmSync(trial.path('disk'), { recursive: true });
  await trial.ok('restore', 'docs', '--repository', 'bucket', '--to', trial.path('by-us'));
  const restored = readFileSync(`${trial.path('by-us')}${trial.path('docs/large')}`);
  expect(restored.equals(readFileSync(trial.path('docs/large')))).toBe(true);
  // And a new disk is filled from it, when it is told to.
  await trial.ok('repo', 'init', 'disk');
  expect(await trial.ok('repo', 'copy', 'bucket', '--to', 'disk')).toContain('2 snapshots copied from bucket to disk');
  expect(await trial.ok('repo', 'check', 'disk', '--read-data')).toContain('no errors');
});
