/** Search snapshots for names. */
import { z } from 'zod';
import { HoldfastError } from '../../base/errors.ts';
import { findInSnapshots } from '../../engine/find.ts';
import { isState, type StoredSnapshot, sourceOf } from '../../model/snapshot.ts';
import { listSnapshots, lockForReading } from '../../repository/index.ts';
import { type Emitting, type Execution, operation, type RepositoryAccess } from '../operation.ts';
import { type NamedRepository, openNamed } from '../repositories/repository-access.ts';
import { nodeView, viewNode } from './node-view.ts';
import { openSnapshot, repositoriesToSearch } from './snapshot-access.ts';

const input = z.object({
  patterns: z.array(z.string()).min(1),
  /** Only in this one, or in the snapshots of this source. */
  snapshot: z.string().optional(),
  source: z.string().optional(),
  ignoreCase: z.boolean().default(false),
  repository: z.string().optional(),
});
/** One state of the thing at a path, and the snapshots that hold it in that state, oldest first. */
export const match = nodeView.extend({
  repository: z.string(),
  snapshots: z.array(z.object({ id: z.string(), time: z.string(), source: z.string().optional() })),
});
export type Match = z.infer<typeof match>;
const output = z.object({ snapshots: z.number(), count: z.number() });

type Request = z.infer<typeof input>;
type Uses = RepositoryAccess & Execution & Emitting<Match>;

/** Matches are emitted while the trees are read, path by path. */
export const find = operation({
  name: 'find',
  permission: 'restorer',
  input,
  output,
  run: async (request: Request, uses: Uses) => {
    const total = { snapshots: 0, count: 0 };
    if (request.snapshot !== undefined) {
      await using found = await openSnapshot(request.snapshot, request.repository, uses);
      await findIn({ opened: found.opened, snapshots: [found.snapshot] }, request, uses, total);
    } else {
      for (const name of repositoriesToSearch(request.source ?? '', request.repository, uses)) {
        await using opened = await openNamed(name, uses);
        await findIn({ opened }, request, uses, total);
      }
    }
    if (total.snapshots > 0) return total;
    throw new HoldfastError({
      code: 'snapshot.unknown',
      message: 'there is no snapshot to search',
      remedy: 'List what there is with: holdfast snapshots',
    });
  },
});

async function findIn(
  { opened, snapshots: named }: { readonly opened: NamedRepository; readonly snapshots?: readonly StoredSnapshot[] },
  request: Request,
  uses: Uses,
  total: { snapshots: number; count: number },
): Promise<void> {
  const { repository, name } = opened;
  await using lock = await lockForReading(repository, uses.report, { signal: uses.signal });
  const snapshots = named ?? ofSource(await listSnapshots(repository, uses.signal), request);
  total.snapshots += snapshots.length;
  const { patterns, ignoreCase } = request;
  const signal = lock?.signal ?? uses.signal;
  for await (const version of findInSnapshots(repository, snapshots, { patterns, ignoreCase, signal })) {
    await uses.emit({
      ...viewNode(version.path, version.node),
      repository: name,
      snapshots: version.snapshots.map((one) => ({ id: one.id, time: one.time, source: sourceOf(one) })),
    });
    total.count++;
  }
}

function ofSource(snapshots: readonly StoredSnapshot[], { source }: Request): readonly StoredSnapshot[] {
  return snapshots.filter((one) => (source === undefined ? !isState(one) : sourceOf(one) === source));
}
