/** The snapshots that can be read, when some cannot. */
import { forEachConcurrent } from '../../base/concurrency.ts';
import { hasCode, messageOf } from '../../base/errors.ts';
import type { StoredSnapshot } from '../../model/snapshot.ts';
import { unpackedName } from '../layout.ts';
import type { Repository } from '../repository.ts';
import { loadSnapshot, snapshotReads } from '../snapshots.ts';
import { listUnpacked } from '../unpacked.ts';
import { faultOf, type ReportFault } from '../upkeep/fault.ts';

/** Oldest first; those that cannot be read are reported. One that was forgotten since the listing is no fault. */
export async function readableSnapshots(
  repository: Repository,
  report: ReportFault,
  signal?: AbortSignal,
): Promise<StoredSnapshot[]> {
  const snapshots: StoredSnapshot[] = [];
  const read = async (id: string): Promise<void> => {
    try {
      snapshots.push(await loadSnapshot(repository, id, signal));
    } catch (error) {
      if (hasCode(error, 'storage.not-found')) return;
      if (!hasCode(error, 'repository.damaged', 'repository.unsupported', 'storage.io')) throw error;
      const message = `snapshot ${id} cannot be read: ${messageOf(error)}`;
      report(faultOf('snapshot-damaged', unpackedName('snapshots', id), message));
    }
  };
  await forEachConcurrent(listUnpacked(repository, 'snapshots', signal), snapshotReads, ({ id }) => read(id), signal);
  return snapshots.sort((a, b) => a.timeMs - b.timeMs);
}
