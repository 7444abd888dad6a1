import { expect, test } from 'vitest';
import {
  contentOf,
  makeSnapshot,
  memoryRepository,
  noise,
  readSnapshot,
  reopened,
} from '../../../test/support/trial-repository.ts';
import { silent } from '../../model/run.ts';
import { memoryStorage } from '../../storage/memory.ts';
import { checkRepository } from '../check/check.ts';
import { forgetSnapshots } from '../prune/forget.ts';
import { prune } from '../prune/prune.ts';
import { adoptPacks } from './adopt.ts';

const files = { 'a/one': [noise('one', 3000)], two: [noise('two', 5000)] };

test('what somebody else pruned between two backups of one process is stored again, not taken for stored', async () => {
  const { place, repository } = await memoryRepository();
  const first = await makeSnapshot(repository, files);
  const other = reopened(repository, memoryStorage(place));
  await forgetSnapshots(other, [first]);
  await prune(other, { maxUnused: 0 }, silent);
  await adoptPacks(repository);
  const second = await makeSnapshot(repository, files, { time: '2026-11-21T03:00:00Z' });
  const fresh = reopened(repository, memoryStorage(place));
  expect(await readSnapshot(fresh, second)).toEqual(contentOf(files));
  expect((await checkRepository(fresh, { readData: true }, silent)).errors).toEqual([]);
});
