/** Pin snapshots, so that no rule removes them, and let them go again. */
import { z } from 'zod';
import { hasCode, messageOf } from '../../base/errors.ts';
import { type StoredSnapshot, sourceOf } from '../../model/snapshot.ts';
import { listPins, listSnapshots, pinSnapshot, unpinSnapshot } from '../../repository/index.ts';
import { type Execution, type Operation, operation, type RepositoryAccess } from '../operation.ts';
import { openNamed } from '../repositories/repository-access.ts';
import { type FoundSnapshot, openSnapshot, repositoriesToSearch } from './snapshot-access.ts';

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
      others: z.array(z.object({ id: z.string(), time: z.string(), repository: z.string() })).optional(),
      /** Where `others` were looked for: all repositories of the source but those that cannot be opened, or the named one. */
      lookedIn: z.array(z.string()).optional(),
    }),
  ),
});
export type PinOutput = z.infer<typeof output>;
type Pinned = PinOutput['snapshots'][number];
type Uses = RepositoryAccess & Execution;

export const pin = pinning('pin', true);
export const unpin = pinning('unpin', false);

function pinning(name: string, pinned: boolean): Operation<z.infer<typeof input>, PinOutput, Uses> {
  return operation({
    name,
    permission: 'operator',
    input,
    output,
    run: async (request: z.infer<typeof input>, uses: Uses): Promise<PinOutput> => {
      const done: Pinned[] = [];
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
          ...(pinned || changed ? {} : await pinnedOf(source, { found, pins, repository: request.repository }, uses)),
        });
      }
      return { snapshots: done };
    },
  });
}

/** A pin is kept in each repository: the one that is meant may be in another than the newest snapshot is in. */
async function pinnedOf(
  source: string | undefined,
  { found, pins, repository }: { found: FoundSnapshot; pins: ReadonlySet<string>; repository: string | undefined },
  uses: Uses,
): Promise<Pick<Pinned, 'others' | 'lookedIn'>> {
  const { name: here } = found.opened;
  const others = pinnedAmong(found.snapshots, pins, source).map((one) => ({ ...one, repository: here }));
  const lookedIn = [here];
  for (const name of repositoriesToSearch(source ?? '', repository, uses)) {
    if (name === here) continue;
    try {
      await using opened = await openNamed(name, uses);
      const snapshots = await listSnapshots(opened.repository, uses.signal);
      const there = pinnedAmong(snapshots, await listPins(opened.repository, uses.signal), source);
      others.push(...there.map((one) => ({ ...one, repository: name })));
      lookedIn.push(name);
    } catch (error) {
      if (hasCode(error, 'cancelled')) throw error;
      const message = `repository ${name}: ${messageOf(error)}; what is pinned there is not known`;
      uses.report({ type: 'warning', code: 'repository', message });
    }
  }
  return { others, lookedIn };
}

function pinnedAmong(
  snapshots: readonly StoredSnapshot[],
  pins: ReadonlySet<string>,
  source: string | undefined,
): { id: string; time: string }[] {
  return snapshots.filter((one) => pins.has(one.id) && sourceOf(one) === source).map(({ id, time }) => ({ id, time }));
}
