import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { contentOf, makeSnapshot, memoryRepository, noise, readSnapshot } from '../../test/support/trial-repository.ts';
import { silent } from '../model/run.ts';
import { cachedStorage } from '../storage/cached.ts';
import { countingStorage } from '../storage/counting.ts';
import { memoryStorage } from '../storage/memory.ts';
import { loadIndex } from './blob-index/index-files.ts';
import { forgetSnapshots } from './prune/forget.ts';
import { prune } from './prune/prune.ts';
import { listSnapshots } from './records/snapshots.ts';

test('opening a repository again reads neither its index nor its snapshots again, and a prune by others is seen', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-cached-'));
  try {
    const { place, repository } = await memoryRepository();
    const files = { a: [noise('a', 3000)] };
    const gone = await makeSnapshot(repository, { ...files, b: [noise('b', 3000)] }, { time: '2026-11-20T03:00:00Z' });
    const kept = await makeSnapshot(repository, files, { time: '2026-11-21T03:00:00Z' });
    const open = () => {
      const storage = countingStorage(memoryStorage(place));
      return { storage, cached: repository.on(cachedStorage(storage, { folder, mostBytes: 1 << 20 })) };
    };
    const first = open();
    expect((await loadIndex(first.cached)).size).toBe(4);
    expect(await listSnapshots(first.cached)).toHaveLength(2);
    expect(first.storage.count('get')).toBe(4);
    const second = open();
    expect((await loadIndex(second.cached)).size).toBe(4);
    expect(await listSnapshots(second.cached)).toHaveLength(2);
    expect(second.storage.count('get')).toBe(0);
    const other = repository.on(memoryStorage(place));
    await forgetSnapshots(other, [gone]);
    await prune(other, { maxUnused: 0 }, silent);
    const third = open();
    expect((await loadIndex(third.cached)).size).toBe(2);
    expect((await listSnapshots(third.cached)).map(({ id }) => id)).toEqual([kept]);
    expect(await readSnapshot(third.cached, kept)).toEqual(contentOf(files));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
