/** Pin snapshots, so that no rule removes them, and let them go again. */
import { z } from 'zod';
import { type StoredSnapshot, sourceOf } from '../../model/snapshot.ts';
import { listPins, pinSnapshot, unpinSnapshot } from '../../repository/index.ts';
import { type Execution, type Operation, operation, type RepositoryAccess } from '../operation.ts';
import { openSnapshot } from './snapshot-access.ts';

const input = z.object({ snapshots: z.array(z.string()).min(1), repository: z.string().optional() });
const output = z.object({
  snapshots: z.array(
    z.object({
      id: z.string(),
      repository: z.string(),
      /** Whether it is now. */
      pinned: z.boolean(),
      /** False: it was so before. */
      changed: z.boolean(),
      source: z.string().optional(),
      /** Of one that was not pinned and should not be any more: which ones of its source are. */
      others: z.array(z.object({ id: z.string(), time: z.string() })).optional(),
    }),
  ),
});
export type PinOutput = z.infer<typeof output>;

export const pin = pinning('pin', true);
export const unpin = pinning('unpin', false);

function pinning(
  name: string,
  pinned: boolean,
): Operation<z.infer<typeof input>, PinOutput, RepositoryAccess & Execution> {
  return operation({
    name,
    permission: 'operator',
    input,
    output,
    run: async (request: z.infer<typeof input>, uses: RepositoryAccess & Execution): Promise<PinOutput> => {
      const done: PinOutput['snapshots'] = [];
      for (const wanted of request.snapshots) {
        await using found = await openSnapshot(wanted, request.repository, uses);
        const { repository, name: where } = found.opened;
        const { id } = found.snapshot;
        const pins = await listPins(repository, uses.signal);
        await (pinned ? pinSnapshot : unpinSnapshot)(repository, id, uses.signal);
        const source = sourceOf(found.snapshot);
        const changed = pins.has(id) !== pinned;
        done.push({
          ...{ id, repository: where, pinned, changed },
          ...(source === undefined ? {} : { source }),
          ...(pinned || changed ? {} : { others: pinnedOf(source, found.snapshots, pins) }),
        });
      }
      return { snapshots: done };
    },
  });
}

function pinnedOf(
  source: string | undefined,
  snapshots: readonly StoredSnapshot[],
  pins: ReadonlySet<string>,
): { id: string; time: string }[] {
  return snapshots.filter((one) => pins.has(one.id) && sourceOf(one) === source).map(({ id, time }) => ({ id, time }));
}
