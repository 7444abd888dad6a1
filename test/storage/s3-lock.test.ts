/** Buckets that hold objects: what is stored is held, what is needed stays held, and an attacker with a client's keys loses nothing for us. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { Secret } from '../../src/base/secrets.ts';
import { silent } from '../../src/model/run.ts';
import {
  checkRepository,
  forgetSnapshots,
  holdObjects,
  initRepository,
  listLocks,
  lockRepository,
  openRepository,
  prune,
  type Repository,
  rewindStorage,
  sweepVersions,
} from '../../src/repository/index.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { type S3Server, startMoto } from '../servers/s3-moto.ts';
import { contentOf, impatientClock, makeSnapshot, noise, readSnapshot } from '../support/trial-repository.ts';
import { allVersions, type Bucket, wreakHavoc } from './attacker.ts';
import { openS3 } from './s3-access.ts';

const day = 86_400_000;
const password = new Secret('a password');
const objectLock = { mode: 'compliance', days: 30 } as const;
const first = { 'a/one': [noise('lock one', 3000)], text: [Buffer.alloc(50_000, 'text ')] };
const second = { ...first, two: [noise('lock two', 100_000)] };

let server: S3Server;
beforeAll(async () => {
  server = await startMoto();
});
afterAll(() => server?.[Symbol.asyncDispose]());

const urlOf = (bucket: string): string => `s3:${server.endpoint}/${bucket}/a/prefix`;
const bucketOf = (bucket: string): Bucket => ({
  endpoint: server.endpoint,
  bucket,
  keys: { accessKeyId: server.env.AWS_ACCESS_KEY_ID, secretAccessKey: server.env.AWS_SECRET_ACCESS_KEY },
});

async function open(
  bucket: string,
  settings: Record<string, unknown> = { objectLock },
  create = true,
): Promise<Storage> {
  const storage = await openS3(urlOf(bucket), { env: server.env, settings, create, clock: impatientClock });
  onTestFinished(() => storage.close());
  return storage;
}

async function reopen(storage: Storage): Promise<Repository> {
  return await openRepository({ storage, password, clock: impatientClock });
}

async function made(bucket: string): Promise<{ storage: Storage; repository: Repository; ids: string[] }> {
  const storage = await open(bucket);
  const repository = await initRepository({ storage, password, clock: impatientClock, kdf: { N: 1024, r: 8, p: 1 } });
  const ids = [await makeSnapshot(repository, first), await makeSnapshot(repository, second)];
  return { storage, repository, ids };
}

/** Waits until the service's clock, which counts whole seconds, is past what was stored so far; returns the moment. */
async function momentAfter(): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 1100));
  const atMs = Date.now();
  await new Promise((resolve) => setTimeout(resolve, 1100));
  return atMs;
}

describe('a bucket that holds objects', () => {
  test('holds everything that is stored but locks, for the days that were asked for', async () => {
    const { storage, repository } = await made('held');
    await using lock = await lockRepository(repository, { exclusive: false });
    expect(lock.signal.aborted).toBe(false);
    const until = new Map<string, number | undefined>();
    for (const folder of ['config', 'keys', 'data', 'index', 'snapshots', 'locks']) {
      if (folder === 'config') until.set(folder, await storage.retention!.heldUntilMs('config'));
      else
        for await (const { name } of storage.list(folder)) until.set(name, await storage.retention!.heldUntilMs(name));
    }
    const days = [...until].map(([name, at]) => [name.split('/')[0], at && Math.round((at - Date.now()) / day)]);
    expect(new Map(days as [string, number][])).toEqual(
      new Map([
        ['config', 30],
        ['keys', 30],
        ['data', 30],
        ['index', 30],
        ['snapshots', 30],
        ['locks', undefined],
      ]),
    );
  });

  test('is asked for: one without it is refused before anything is stored', async () => {
    const plain = await open('plain', {});
    await plain.put('other/object', [Buffer.from('x')]);
    await expect(open('plain')).rejects.toMatchObject({
      code: 'storage.unprotected',
      remedy: expect.stringContaining('objectLock'),
    });
    const held = await open('plain', { objectLock }, false);
    await expect(held.put('data/a', [Buffer.from('x')])).rejects.toMatchObject({ code: 'storage.unprotected' });
    expect(await plain.stat('data/a')).toBeUndefined();
    await expect(rewindStorage(plain, { atMs: 0, dryRun: true }, silent)).rejects.toMatchObject({
      code: 'storage.unprotected',
    });
  });

  test('holds anew what is needed, and only when half of the days are over', async () => {
    const { storage, repository, ids } = await made('renewed');
    const soon = { nowMs: Date.now() + 10 * day, report: silent };
    expect(await holdObjects(storage, { dryRun: false }, soon)).toMatchObject({ renewed: 0 });
    const later = { nowMs: Date.now() + 16 * day, report: silent };
    const dry = await holdObjects(storage, { dryRun: true }, later);
    expect(dry.renewed).toBe(dry.objects);
    await forgetSnapshots(repository, [ids[1]]);
    await prune(repository, { maxUnused: 0 }, silent);
    const held = await holdObjects(storage, { dryRun: false }, later);
    expect(held.objects).toBeLessThan(dry.objects);
    expect(held.requests).toBe(held.objects + held.renewed);
  });

  test('keeps what forget and prune removed until its days are over, then frees it', async () => {
    const { storage, repository, ids } = await made('swept');
    await forgetSnapshots(repository, [ids[1]]);
    await prune(repository, { maxUnused: 0 }, silent);
    expect(await readSnapshot(await reopen(storage), ids[0])).toEqual(contentOf(first));
    const now = await sweepVersions(storage, { dryRun: false }, { nowMs: Date.now(), report: silent });
    expect(now.leftVersions).toBeGreaterThan(3);
    // Our clock says that the time is over, the service knows better: held is held.
    const early = await sweepVersions(storage, { dryRun: false }, { nowMs: Date.now() + 31 * day, report: silent });
    expect(early.leftBytes).toBe(now.leftBytes);
    expect(early.versions).toBeLessThanOrEqual(now.versions + now.leftVersions);
    expect(await readSnapshot(await reopen(storage), ids[0])).toEqual(contentOf(first));
  });

  test('frees for good what is no longer held', async () => {
    const short = { objectLock: { mode: 'compliance', days: 1 / day } };
    const storage = await open('freed', short);
    await storage.put('data/a', [Buffer.from('old')]);
    await storage.put('data/a', [Buffer.from('new')]);
    await storage.put('data/b', [Buffer.from('gone')]);
    await storage.delete('data/b');
    await momentAfter();
    const given = { nowMs: Date.now(), report: silent };
    expect(await sweepVersions(storage, { dryRun: true }, given)).toMatchObject({ versions: 2, bytes: 7 });
    expect(await sweepVersions(storage, { dryRun: false }, given)).toMatchObject({ versions: 2, leftVersions: 0 });
    expect(await sweepVersions(storage, { dryRun: false }, given)).toMatchObject({ versions: 1 });
    const left = (await allVersions(bucketOf('freed'))).map(({ key, isRemoval }) => [key, isRemoval]);
    expect(left).toEqual([['a/prefix/data/a', false]]);
    expect(Buffer.from(await storage.get('data/a')).toString()).toBe('new');
  });
});

describe('an attacker with all the keys of a client', () => {
  test('takes nothing that cannot be read as it was, and brought back', async () => {
    const { storage, ids } = await made('attacked');
    const atMs = await momentAfter();
    const { carriedOut, refused } = await wreakHavoc(bucketOf('attacked'), { shorten: false });
    expect(carriedOut.destroy ?? 0).toBe(0);
    expect(refused.destroy).toBeGreaterThan(5);
    expect(carriedOut.remove).toBeGreaterThan(3);
    await expect(reopen(storage)).rejects.toThrow();

    const past = await open('attacked', { asOf: new Date(atMs).toISOString() }, false);
    await expectWhole(past, ids);
    await expect(past.put('data/x', [])).rejects.toMatchObject({ code: 'storage.denied' });

    const dry = await rewindStorage(storage, { atMs, dryRun: true }, silent);
    const done = await rewindStorage(storage, { atMs, dryRun: false }, silent);
    expect({ ...done, dryRun: true }).toEqual(dry);
    expect(done.broughtBack).toBeGreaterThan(3);
    await expectWhole(storage, ids);
    expect(await rewindStorage(storage, { atMs, dryRun: true }, silent)).toMatchObject({ broughtBack: 0, removed: 0 });
    // And it is a repository to work with again.
    const repository = await reopen(storage);
    const third = await makeSnapshot(repository, { three: [noise('lock three', 500)] });
    await prune(repository, { maxUnused: 0 }, silent);
    await expectWhole(storage, [...ids, third]);
  });

  async function expectWhole(storage: Storage, ids: readonly string[]): Promise<void> {
    const repository = await reopen(storage);
    const { errors } = await checkRepository(repository, { readData: true }, silent);
    expect(errors).toEqual([]);
    expect(await readSnapshot(repository, ids[0])).toEqual(contentOf(first));
    expect(await readSnapshot(repository, ids[1])).toEqual(contentOf(second));
  }
});

test('a client that may remove nothing backs up all the same, and is not kept out by its own old locks', async () => {
  const storage = await open('adding', {});
  const repository = await initRepository({ storage, password, clock: impatientClock, kdf: { N: 1024, r: 8, p: 1 } });
  const denied = { code: 'storage.denied' };
  const adding: Storage = {
    location: storage.location,
    put: (...given) => storage.put(...given),
    get: (...given) => storage.get(...given),
    getInto: (...given) => storage.getInto(...given),
    stat: (...given) => storage.stat(...given),
    list: (...given) => storage.list(...given),
    delete: async (name) => {
      const { HoldfastError } = await import('../../src/base/errors.ts');
      throw new HoldfastError({ code: 'storage.denied', message: `cannot delete ${name}`, remedy: 'Ask whoever may.' });
    },
    close: async () => {},
  };
  const client = await openRepository({ storage: adding, password, clock: impatientClock });
  for (let run = 0; run < 3; run++) {
    await using lock = await lockRepository(client, { exclusive: false });
    await makeSnapshot(client, { file: [noise(`run ${run}`, 100)] });
    expect(lock.signal.aborted).toBe(false);
  }
  expect((await listLocks(client)).map(({ stale }) => stale)).toEqual([true, true, true]);
  const [{ id }] = await listLocks(client);
  await expect(forgetSnapshots(client, [id])).rejects.toMatchObject({ code: 'snapshot.unknown' });
  const ids: string[] = [];
  for await (const { name } of storage.list('snapshots')) ids.push(name.slice('snapshots/'.length));
  await expect(forgetSnapshots(client, [ids[0]])).rejects.toMatchObject(denied);
  // Who may remove tidies up.
  await prune(repository, {}, silent);
  expect(await listLocks(repository)).toEqual([]);
});
