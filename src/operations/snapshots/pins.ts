/** Pin snapshots, so that no rule removes them, and let them go again. */
import { z } from 'zod';
import { pinSnapshot, unpinSnapshot } from '../../repository/index.ts';
import { type Execution, type Operation, operation, type RepositoryAccess } from '../operation.ts';
import { openSnapshot } from './snapshot-access.ts';

const input = z.object({ snapshots: z.array(z.string()).min(1), repository: z.string().optional() });
const output = z.object({
  snapshots: z.array(z.object({ id: z.string(), repository: z.string(), pinned: z.boolean() })),
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
        const { id } = found.snapshot;
        await (pinned ? pinSnapshot : unpinSnapshot)(found.opened.repository, id, uses.signal);
        done.push({ id, repository: found.opened.name, pinned });
      }
      return { snapshots: done };
    },
  });
}
