/** The lock of a reader: shared, so that a prune stays away meanwhile. */
import { hasCode } from '../../base/errors.ts';
import type { Report } from '../../model/run.ts';
import type { Repository } from '../repository.ts';
import { type HeldLock, type LockRequest, lockRepository } from './locks.ts';

/** A shared lock; `undefined`, with a note, if the repository cannot be written (a read-only or full disk): then nothing can prune it from here either. */
export async function lockForReading(
  repository: Repository,
  report: Report,
  { signal, waitMs = 0, early }: Omit<LockRequest, 'exclusive'> = {},
): Promise<HeldLock | undefined> {
  try {
    return await lockRepository(repository, { exclusive: false, early, waitMs, signal });
  } catch (error) {
    if (!hasCode(error, 'storage.denied', 'storage.full')) throw error;
    report({ type: 'note', message: `reading ${repository.storage.location} without a lock: it cannot be written` });
    return undefined;
  }
}
