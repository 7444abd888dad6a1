/**
 * Object Lock against Ceph's gateway, which refuses what Amazon refuses: a client of its own user writes, then goes wild with
 * every right a bucket policy can give it short of an administrator's; `npm run test:ceph`.
 */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { Secret } from '../../src/base/secrets.ts';
import { silent } from '../../src/model/run.ts';
import { checkRepository, initRepository, openRepository, prune, rewindStorage } from '../../src/repository/index.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { type CephGateway, startCephGateway } from '../servers/ceph-rgw.ts';
import { contentOf, impatientClock, makeSnapshot, noise, readSnapshot } from '../support/trial-repository.ts';
import { ask, type Bucket, wreakHavoc } from './attacker.ts';
import { openS3 } from './s3-access.ts';

const password = new Secret('a password');
const first = { 'a/one': [noise('lock one', 3000)], text: [Buffer.alloc(50_000, 'text ')] };
const second = { ...first, two: [noise('lock two', 100_000)] };
/** What docs/immutability.md tells to allow. */
const clientActions = [
  's3:ListBucket',
  's3:ListBucketMultipartUploads',
  's3:GetBucketObjectLockConfiguration',
  's3:GetBucketVersioning',
  's3:GetObject',
  's3:GetObjectRetention',
  's3:PutObject',
  's3:PutObjectRetention',
  's3:DeleteObject',
];
/** For the attacker: to see versions, and even to remove them. */
const carelessActions = [...clientActions, 's3:ListBucketVersions', 's3:GetObjectVersion', 's3:DeleteObjectVersion'];

describe.runIf(process.env.CEPH)('Object Lock on Ceph', () => {
  let server: CephGateway;
  beforeAll(async () => {
    server = await startCephGateway();
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  const keysOf = (env: CephGateway['env']) => ({
    accessKeyId: env.AWS_ACCESS_KEY_ID,
    secretAccessKey: env.AWS_SECRET_ACCESS_KEY,
  });
  const bucketOf = (bucket: string, env: CephGateway['env']): Bucket => ({
    endpoint: server.endpoint,
    bucket,
    keys: keysOf(env),
  });

  async function open(bucket: string, env: CephGateway['env'], settings: Record<string, unknown>): Promise<Storage> {
    const url = `s3:${server.endpoint}/${bucket}/a/prefix`;
    const create = env === server.env && settings.asOf === undefined;
    const storage = await openS3(url, { env, settings, create, clock: impatientClock });
    onTestFinished(() => storage.close());
    return storage;
  }

  async function allow(bucket: string, actions: readonly string[]): Promise<void> {
    const Resource = [`arn:aws:s3:::${bucket}`, `arn:aws:s3:::${bucket}/*`];
    const client = { AWS: ['arn:aws:iam:::user/client'] };
    const admin = { AWS: ['arn:aws:iam:::user/t'] };
    const Statement = [
      { Effect: 'Allow', Principal: client, Action: actions, Resource },
      // Objects belong to whom stored them here: the owner may otherwise bypass, and the administrator not read.
      { Effect: 'Deny', Principal: client, Action: ['s3:BypassGovernanceRetention'], Resource },
      { Effect: 'Allow', Principal: admin, Action: ['s3:*'], Resource },
    ];
    const body = JSON.stringify({ Version: '2012-10-17', Statement });
    const answer = await ask(bucketOf(bucket, server.env), { method: 'PUT', query: { policy: '' }, body });
    expect(answer).toMatchObject({ status: expect.toSatisfy((status: number) => status < 300) });
  }

  async function momentAfter(): Promise<number> {
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const atMs = Date.now();
    await new Promise((resolve) => setTimeout(resolve, 1100));
    return atMs;
  }

  async function expectWhole(storage: Storage, ids: readonly string[]): Promise<void> {
    const repository = await openRepository({ storage, password, clock: impatientClock });
    const { errors } = await checkRepository(repository, { readData: true }, silent);
    expect(errors).toEqual([]);
    expect(await readSnapshot(repository, ids[0])).toEqual(contentOf(first));
    expect(await readSnapshot(repository, ids[1])).toEqual(contentOf(second));
  }

  test.each([
    ['compliance', clientActions],
    ['compliance', carelessActions],
    ['governance', carelessActions],
  ] as const)('%s: whatever a client with its rights does, everything can be brought back', async (mode, actions) => {
    const bucket = `lock-${mode}-${actions.length}`;
    const settings = { objectLock: { mode, days: 2 } };
    const admin = await open(bucket, server.env, settings);
    await initRepository({ storage: admin, password, clock: impatientClock, kdf: { N: 1024, r: 8, p: 1 } });
    await allow(bucket, actions);
    const storage = await open(bucket, server.clientEnv, settings);
    const client = await openRepository({ storage, password, clock: impatientClock });
    const ids = [await makeSnapshot(client, first), await makeSnapshot(client, second)];
    const atMs = await momentAfter();

    // What cannot be seen can be tried all the same: the versions are those the administrator sees.
    const seenBy = bucketOf(bucket, server.env);
    const havoc = await wreakHavoc(bucketOf(bucket, server.clientEnv), { shorten: true, seenBy });
    expect(havoc.carriedOut.destroy ?? 0).toBe(0);
    expect(havoc.carriedOut.shorten ?? 0).toBe(0);
    expect(havoc.carriedOut['stop versions'] ?? 0).toBe(0);
    expect(havoc.carriedOut.expire ?? 0).toBe(0);
    expect(havoc.carriedOut.remove).toBeGreaterThan(3);
    expect(havoc.carriedOut.replace).toBeGreaterThan(3);

    await expectWhole(await open(bucket, server.env, { asOf: new Date(atMs).toISOString() }), ids);
    const done = await rewindStorage(admin, { atMs, dryRun: false }, silent);
    expect(done.broughtBack).toBeGreaterThan(3);
    expect(done.removed).toBeGreaterThan(10);
    await expectWhole(admin, ids);
    const repository = await openRepository({ storage: admin, password, clock: impatientClock });
    await prune(repository, { maxUnused: 0 }, silent);
    await expectWhole(admin, ids);
  });
});
