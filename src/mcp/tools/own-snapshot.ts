/** A snapshot that is one of the source the caller was judged by: an id alone could be of any. */
import { HoldfastError } from '../../base/errors.ts';
import { snapshots } from '../../operations/snapshots/snapshots.ts';
import type { McpUses } from '../parts.ts';

/** `snapshot.unknown`, also for one of another source; the newest if none is named. */
export async function ownSnapshot(
  {
    source,
    snapshot,
    repository,
  }: { readonly source: string; readonly snapshot?: string; readonly repository?: string },
  uses: McpUses,
): Promise<{ readonly id: string; readonly repository: string }> {
  const first = uses.config.sources.get(source)?.placements[0].repository;
  const { snapshots: found } = await snapshots.run(
    { source, repository: repository ?? (snapshot === undefined ? first : undefined), all: false },
    uses,
  );
  const fitting = snapshot === undefined ? found.slice(-1) : found.filter(({ id }) => id.startsWith(snapshot));
  if (new Set(fitting.map(({ id }) => id)).size === 1) return fitting[0];
  throw new HoldfastError({
    code: fitting.length === 0 ? 'snapshot.unknown' : 'snapshot.ambiguous',
    message:
      snapshot === undefined
        ? `there is no snapshot of ${source} there`
        : `${fitting.length === 0 ? 'no snapshot' : 'more than one snapshot'} of ${source} begins with ${snapshot.slice(0, 64)}`,
    remedy: 'Take the id from list_snapshots.',
  });
}
