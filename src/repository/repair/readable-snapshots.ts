/** The snapshots that can be read, when some cannot. */
import { hasCode, messageOf } from '../../base/errors.ts';
import type { StoredSnapshot } from '../../model/snapshot.ts';
import { faultOf, type ReportFault } from '../check/fault.ts';
import { unpackedName } from '../layout.ts';
import { forEachSnapshot } from '../records/snapshots.ts';
import type { Repository } from '../repository.ts';

/** Oldest first; those that cannot be read are reported. One that was forgotten since the listing is no fault. */
export async function readableSnapshots(
  repository: Repository,
  report: ReportFault,
  signal?: AbortSignal,
): Promise<StoredSnapshot[]> {
  const snapshots: StoredSnapshot[] = [];
  const read = async (id: string, load: () => Promise<StoredSnapshot>): Promise<void> => {
    try {
      snapshots.push(await load());
    } catch (error) {
      if (hasCode(error, 'storage.not-found')) return;
      if (!hasCode(error, 'repository.damaged', 'repository.unsupported', 'storage.io')) throw error;
      const message = `snapshot ${id} cannot be read: ${messageOf(error)}`;
      report(faultOf('snapshot-damaged', unpackedName('snapshots', id), message));
    }
  };
  await forEachSnapshot(repository, read, signal);
  return snapshots.sort((a, b) => a.timeMs - b.timeMs);
}
