/** Forgetting: removes snapshot files. What only they needed is freed by prune. */
import { forEachConcurrent } from '../../base/concurrency.ts';
import { HoldfastError } from '../../base/errors.ts';
import { unpackedName } from '../layout.ts';
import { lockRepository } from '../locking/locks.ts';
import type { Repository } from '../repository.ts';
import { deleteUnpacked } from '../sealing/unpacked.ts';

const deletesAtOnce = 8;

/**
 * Removes the snapshots with these full ids; all must exist (`snapshot.unknown` before anything is removed). Which may go
 * is the caller's decision: `mayStillGo` is asked under the lock, after whatever was waited for; what it leaves out stays.
 * Returns the ids that are gone. A shared lock is enough: nothing that others read disappears but the snapshots themselves.
 */
export async function forgetSnapshots(
  repository: Repository,
  ids: readonly string[],
  options: {
    readonly lockWaitMs?: number;
    readonly signal?: AbortSignal;
    readonly mayStillGo?: () => Promise<ReadonlySet<string>>;
  } = {},
): Promise<string[]> {
  const { lockWaitMs, signal, mayStillGo } = options;
  await using lock = await lockRepository(repository, { exclusive: false, waitMs: lockWaitMs, signal });
  for (const id of ids) {
    if (await repository.storage.stat(unpackedName('snapshots', id), lock.signal)) continue;
    throw new HoldfastError({
      code: 'snapshot.unknown',
      message: `there is no snapshot ${id} in ${repository.storage.location}`,
      remedy: 'List what there is with: holdfast snapshots',
    });
  }
  const free = await mayStillGo?.();
  const going = ids.filter((id) => free?.has(id) ?? true);
  await forEachConcurrent(going, deletesAtOnce, (id) => deleteUnpacked(repository, 'snapshots', id), lock.signal);
  return going;
}
