/** Buckets as repositories: the program, restic, faults of the network, refusals, large objects, roles. */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { Secret } from '../../src/base/secrets.ts';
import { body, expectBytes, listed } from '../../src/storage/conformance/case.ts';
import { Trial } from '../e2e/trial.ts';
import { type Fault, startFaultyProxy } from '../servers/faulty-http-proxy.ts';
import { type S3Server, startMoto } from '../servers/s3-moto.ts';
import { openS3 } from './s3-access.ts';

const run = promisify(execFile);
const patient = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  // Waits are tested with the clock of retry.test.ts; here they would only take time.
  sleep: async () => {},
};

let server: S3Server;
beforeAll(async () => {
  server = await startMoto();
});
afterAll(() => server?.[Symbol.asyncDispose]());

const urlOf = (bucket: string): string => `s3:${server.endpoint}/${bucket}`;

describe('a repository in a bucket', () => {
  const trial = new Trial();
  afterAll(() => trial.dispose());
  const env = () => ({
    ...process.env,
    ...server.env,
    RESTIC_PASSWORD: 'a password',
    RESTIC_CACHE_DIR: trial.path('cache'),
  });
  const restic = async (...args: string[]): Promise<string> => (await run('restic', args, { env: env() })).stdout;

  function writeConfig(repositories: string): void {
    trial.write(
      'holdfast.yaml',
      `repositories:\n${repositories}sources:\n  docs: { driver: files, paths: [${trial.path('docs')}], repository: cloud }\n`,
    );
  }

  function writeFiles(): void {
    for (let at = 0; at < 12; at++) trial.write(`docs/sub-${at % 3}/file-${at}`, body(40_000 * at + 1, at));
  }

  test('is made, written and proven by the program, and restic checks and restores every byte of it', async () => {
    writeFiles();
    trial.write('password', 'a password\n');
    trial.write('secret', `${server.env.AWS_SECRET_ACCESS_KEY}\n`);
    trial.write('id', `${server.env.AWS_ACCESS_KEY_ID}\n`);
    const keys = `{ accessKeyId: { file: id }, secretAccessKey: { file: ${trial.path('secret')} } }`;
    writeConfig(`  cloud: { url: "${urlOf('ours/deep/er')}", password: { file: password }, s3: ${keys} }\n`);
    await trial.ok('repo', 'init', 'cloud');
    await trial.ok('backup', 'docs');
    await trial.ok('drill', 'docs');
    const repository = urlOf('ours/deep/er');
    expect(await restic('-r', repository, 'check', '--read-data')).toContain('no errors were found');
    await restic('-r', repository, 'restore', 'latest', '--target', trial.path('by-restic'));
    await same(trial.path('docs'), trial.path('by-restic', trial.path('docs')));
  });

  test('that restic made and wrote is listed, written and restored by the program', async () => {
    const repository = urlOf('theirs/repo');
    await restic('-r', repository, 'init');
    await restic('-r', repository, 'backup', trial.path('docs'));
    const keys = `{ accessKeyId: ${server.env.AWS_ACCESS_KEY_ID}, secretAccessKey: { file: ${trial.path('secret')} } }`;
    writeConfig(`  cloud: { url: "${repository}", password: { file: password }, s3: ${keys} }\n`);
    await trial.ok('backup', 'docs');
    await trial.ok('restore', 'docs', '--to', trial.path('by-us'));
    await same(trial.path('docs'), trial.path('by-us', trial.path('docs')));
    expect(await restic('-r', repository, 'check', '--read-data')).toContain('no errors were found');
  });

  async function same(one: string, other: string): Promise<void> {
    const { stdout } = await run('diff', ['-r', one, other]);
    expect(stdout).toBe('');
  }
});

describe('when the network or the service fails for a moment', () => {
  const faults: readonly Fault[] = ['reset', 'busy', 'fault', 'too-many', 'truncate', 'lost-answer'];

  test.each(faults)('%s: every call succeeds by trying again, and is right', async (fault) => {
    await using proxy = await startFaultyProxy(server.endpoint);
    const url = `s3:${proxy.endpoint}/faults/${fault}`;
    const storage = await openS3(url, { env: server.env, clock: patient });
    onTestFinished(() => storage.close());
    for (let round = 0; round < 3; round++) {
      const bytes = body(300_000 + round, round);
      proxy.failNext(fault, 2);
      await storage.put(`data/object-${round}`, [bytes]);
      proxy.failNext(fault, 2);
      expectBytes(await storage.get(`data/object-${round}`), bytes, 'the object');
      proxy.failNext(fault, 2);
      const into = new Uint8Array(1000);
      await storage.getInto(`data/object-${round}`, 5000, into);
      expectBytes(into, bytes.subarray(5000, 6000), 'the range');
      proxy.failNext(fault, 2);
      expect(await storage.stat(`data/object-${round}`)).toEqual({
        name: `data/object-${round}`,
        sizeBytes: bytes.byteLength,
      });
      proxy.failNext(fault, 2);
      expect((await listed(storage, 'data')).size).toBe(round + 1);
    }
    proxy.failNext(fault, 2);
    await storage.put('new', [body(100, 1)], { mustNotExist: true });
    proxy.failNext(fault, 2);
    await storage.put('new-too', [body(100, 1)], { mustNotExist: true });
    await expect(storage.put('new', [body(100, 2)], { mustNotExist: true })).rejects.toMatchObject({
      code: 'storage.exists',
    });
    proxy.failNext(fault, 2);
    await storage.delete('new');
    expect(await storage.stat('new')).toBeUndefined();
    expect(proxy.failed).toBeGreaterThan(20);
  });

  test('a service that stays away is given up after eight tries, with a clear error that may be tried later', async () => {
    await using proxy = await startFaultyProxy(server.endpoint);
    const storage = await openS3(`s3:${proxy.endpoint}/faults/x`, { env: server.env, clock: patient });
    proxy.failNext('busy', 100);
    const error = await storage.get('data/x').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'storage.unreachable', retry: 'later', context: { status: 503 } });
    expect(proxy.failed).toBe(8);
    await storage.close();
  });

  test('silence ends after the time it may take, and an abort ends it at once', async () => {
    await using proxy = await startFaultyProxy(server.endpoint);
    const settings = { timeoutSeconds: 0.2 };
    const open = (signal?: AbortSignal) =>
      openS3(`s3:${proxy.endpoint}/faults/x`, { env: server.env, clock: patient, settings, signal });
    const storage = await open();
    proxy.failNext('silence', 100);
    await expect(storage.get('data/x')).rejects.toMatchObject({ code: 'storage.unreachable', retry: 'later' });
    const stop = new AbortController();
    const slow = await openS3(`s3:${proxy.endpoint}/faults/x`, { env: server.env, create: false });
    const reading = slow.get('data/x', undefined, stop.signal);
    while (proxy.failed < 9) await new Promise((resolve) => setImmediate(resolve));
    stop.abort();
    await expect(reading).rejects.toMatchObject({ code: 'cancelled' });
    await storage.close();
    await slow.close();
  });
});

describe('large objects', () => {
  const MiB = 1024 * 1024;
  const open = (endpoint = server.endpoint) =>
    openS3(`s3:${endpoint}/large/repo`, { env: server.env, settings: { partBytes: 5 * MiB, contentMd5: true } });

  test('are stored in parts and come back whole', async () => {
    await using closing = new AsyncDisposableStack();
    const storage = closing.adopt(await open(), (opened) => opened.close());
    const bytes = body(17 * MiB + 3, 1);
    await storage.put('data/large', [bytes.subarray(0, 9_000_000), bytes.subarray(9_000_000)]);
    expectBytes(await storage.get('data/large'), bytes, 'the large object');
  });

  test.each([
    ['begins', /\?uploads=$/],
    ['sends its parts', /partNumber=/],
  ])('leave nothing when the upload is cancelled while it %s', async (_, moment) => {
    await using closing = new AsyncDisposableStack();
    const stop = new AbortController();
    const proxy = closing.use(
      await startFaultyProxy(server.endpoint, ({ method, url }) => {
        if (method !== 'GET' && moment.test(url ?? '')) stop.abort();
      }),
    );
    const storage = closing.adopt(await open(proxy.endpoint), (opened) => opened.close());
    const put = storage.put('data/cancelled', [body(17 * MiB + 3, 1)], { signal: stop.signal });
    await expect(put).rejects.toMatchObject({ code: 'cancelled' });
    expect(stop.signal.aborted).toBe(true);
    expect(await storage.stat('data/cancelled')).toBeUndefined();
    const uploads = await fetch(`${server.endpoint}/large?uploads`, { headers: authorization });
    expect(await uploads.text()).not.toContain('<UploadId>');
  });
});

/** moto reads no more of it than whose keys they are. */
const authorization = {
  authorization:
    'AWS4-HMAC-SHA256 Credential=AKIATEST/20261121/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0',
};

describe('keys', () => {
  test('are taken from a profile of the shared files, and a role is assumed with them', async () => {
    const trial = new Trial();
    onTestFinished(() => trial.dispose());
    mkdirSync(trial.path('aws'));
    const file = trial.path('aws/credentials');
    writeFileSync(file, '[backup]\naws_access_key_id = AKIAPROFILE\naws_secret_access_key = of-the-profile\n');
    await using proxy = await startFaultyProxy(server.endpoint);
    const env = { AWS_SHARED_CREDENTIALS_FILE: file, AWS_CONFIG_FILE: trial.path('aws/none') };
    const url = `s3:${proxy.endpoint}/roles/repo`;
    const plain = await openS3(url, { env, settings: { profile: 'backup' } });
    expect(proxy.keysSeen.at(-1)).toBe('AKIAPROFILE');
    await plain.close();
    const role = { roleArn: 'arn:aws:iam::123456789012:role/backup', stsEndpoint: server.endpoint };
    const assumed = await openS3(url, { env, settings: { profile: 'backup', ...role } });
    await assumed.put('config', [body(10, 1)]);
    expect(proxy.keysSeen.at(-1)).toMatch(/^ASIA/);
    await assumed.close();
    await expect(openS3(url, { env, settings: { profile: 'none-such' } })).rejects.toMatchObject({
      code: 'secret.unavailable',
    });
  });

  test('never stand in an error or in the arguments of a process', async () => {
    await using proxy = await startFaultyProxy(server.endpoint);
    const secret = 'a-very-secret-key';
    const settings = { accessKeyId: 'AKIAX', secretAccessKey: { from: 'clear', secret: new Secret(secret) } };
    const storage = await openS3(`s3:${proxy.endpoint}/secrets`, { env: {}, settings, clock: patient });
    for (const fault of ['denied', 'reset', 'fault'] as const) {
      proxy.failNext(fault, 100);
      const error = await storage.get('data/x').catch((thrown: unknown) => thrown);
      const { inspect } = await import('node:util');
      expect(inspect(error, { depth: 20, showHidden: true })).not.toContain(secret);
      expect(inspect(error, { depth: 20, showHidden: true })).not.toMatch(/Signature=[0-9a-f]/);
    }
    expect(readFileSync('/proc/self/cmdline', 'utf8')).not.toContain(secret);
    await storage.close();
  });
});

test('a bucket that is not there, or not any more, is an error, not an empty repository', async () => {
  const storage = await openS3(urlOf('no-such-bucket/x'), { env: server.env, create: false });
  const gone = { code: 'storage.not-found', context: { serviceCode: 'NoSuchBucket' } };
  await expect(storage.get('config')).rejects.toMatchObject(gone);
  await expect(storage.stat('config')).rejects.toMatchObject(gone);
  await expect(listed(storage, 'data')).rejects.toMatchObject(gone);
  await expect(storage.put('data/x', [body(1, 1)])).rejects.toMatchObject(gone);
  await storage.close();
});
