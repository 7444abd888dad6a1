import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { memoryRepository, noise, reopened } from '../../test/support/trial-repository.ts';
import { HoldfastError } from '../base/errors.ts';
import { unattended } from '../drivers/conformance/context.ts';
import { filesDriver } from '../drivers/files/index.ts';
import { localHost } from '../hosts/local/index.ts';
import { type RunEvent, silent } from '../model/run.ts';
import { checkRepository, type HeldLock, lockRepository, type Repository } from '../repository/index.ts';
import { type MemoryPlace, memoryStorage } from '../storage/memory.ts';
import type { Storage } from '../storage/storage.ts';
import { backup, type CaptureWindow } from './backup.ts';

let folder: string;
let place: MemoryPlace;
let made: Repository;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-backup-'));
  for (let i = 0; i < 8; i++) writeFileSync(join(folder, `file-${i}`), noise(`file-${i}`, 300_000));
  ({ place, repository: made } = await memoryRepository());
});
afterEach(() => rmSync(folder, { recursive: true }));

function backUp(
  storage: Storage,
  lockWaitMs: number,
  report: (event: RunEvent) => void = silent,
  window?: CaptureWindow,
) {
  const host = localHost();
  const { signal } = new AbortController();
  const source = { ...unattended({ name: 'it', settings: {}, host, local: host, signal }), report };
  return backup({
    repository: reopened(made, storage),
    driver: filesDriver,
    runId: 'r1',
    lockWaitMs,
    window,
    source: { ...source, settings: filesDriver.settings.parse({ paths: [folder] }) },
  });
}

/** Shows an exclusive lock only at the third look, when `seen` resolves, as a storage that lags behind; tells what is written before it is gone. */
function lagging(lock: string, seen: Promise<void> = Promise.resolve()) {
  const inner = memoryStorage(place);
  const written: string[] = [];
  const shown = Promise.withResolvers<void>();
  let looks = 0;
  const storage: Storage = {
    ...inner,
    put: async (name, ...given) => {
      if (place.has(lock) && !name.startsWith('locks/')) written.push(name);
      await inner.put(name, ...given);
    },
    async *list(listed, signal) {
      const isThird = listed === 'locks' && ++looks === 3;
      if (isThird) await seen;
      try {
        for await (const object of inner.list(listed, signal)) if (object.name !== lock || looks > 2) yield object;
      } finally {
        if (isThird) shown.resolve();
      }
    },
  };
  return { storage, written, shown: shown.promise };
}

async function lockedByAnother(): Promise<{ lock: string; held: HeldLock }> {
  const held = await lockRepository(made, { exclusive: true });
  return { lock: [...place.keys()].find((name) => name.startsWith('locks/'))!, held };
}

test('somebody who excludes it and is seen only while it reads: nothing is written before they are gone, then all is', async () => {
  const { lock, held } = await lockedByAnother();
  const storing = Promise.withResolvers<void>();
  const { storage, written, shown } = lagging(lock, storing.promise);
  const stages: string[] = [];
  const running = backUp(storage, 60_000, (event) => {
    if (event.type !== 'stage') return;
    stages.push(event.stage);
    if (event.stage === 'store') storing.resolve();
  });
  await shown;
  await held[Symbol.asyncDispose]();
  const { summary } = await running;
  expect(written).toEqual([]);
  expect(stages.filter((stage) => stage === 'capture')).toHaveLength(2);
  expect(summary.dataBlobs).toBe(8);
  expect([...place.keys()].filter((name) => name.startsWith('locks/'))).toEqual([]);
  const { errors } = await checkRepository(reopened(made, memoryStorage(place)), { readData: true }, silent);
  expect(errors).toEqual([]);
});

test('and when it is not to wait: it is refused, and nothing of it stays', async () => {
  const { lock, held } = await lockedByAnother();
  const before = [...place.keys()];
  await expect(backUp(lagging(lock).storage, 0)).rejects.toMatchObject({ code: 'repository.locked' });
  expect([...place.keys()]).toEqual(before);
  await held[Symbol.asyncDispose]();
});

test('a refusal does not wait for the index', async () => {
  await backUp(memoryStorage(place), 0);
  const { held } = await lockedByAnother();
  const inner = memoryStorage(place);
  const endless: Storage = {
    ...inner,
    get: async (name, range, signal) => {
      if (!name.startsWith('index/')) return await inner.get(name, range, signal);
      return await new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason));
      });
    },
  };
  await expect(backUp(endless, 0)).rejects.toMatchObject({ code: 'repository.locked' });
  await held[Symbol.asyncDispose]();
});

test('no snapshot is made of what somebody wrote to while it had to stand still; the next backup stores it', async () => {
  const torn = new HoldfastError({ code: 'source.changed', message: 'somebody started it', remedy: '' });
  const windowOf = (end: HoldfastError | undefined): CaptureWindow => ({ begin: async () => {}, end: async () => end });
  await expect(backUp(memoryStorage(place), 0, silent, windowOf(torn))).rejects.toBe(torn);
  const snapshots = () => [...place.keys()].filter((name) => name.startsWith('snapshots/')).length;
  expect(snapshots()).toBe(0);
  await backUp(memoryStorage(place), 0, silent, windowOf(undefined));
  expect(snapshots()).toBe(1);
});

test('a capture that fails is told of by its own failure, also if it had to stand still and did not', async () => {
  const torn = new HoldfastError({ code: 'source.changed', message: 'somebody started it', remedy: '' });
  rmSync(folder, { recursive: true });
  const window = { begin: async () => {}, end: async () => torn };
  await expect(backUp(memoryStorage(place), 0, silent, window)).rejects.toMatchObject({ code: 'source.missing' });
  mkdirSync(folder);
});
