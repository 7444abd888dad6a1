/** Pins: a pinned snapshot is removed by no retention rule. A pin is an empty object, see `layout.ts`. */
import { HoldfastError } from '../../base/errors.ts';
import { idInName, pinName, pinsFolder, unpackedName } from '../layout.ts';
import type { Repository } from '../repository.ts';

/** Pins a snapshot (full id). Pinned already is fine; `snapshot.unknown` if there is none of that id. */
export async function pinSnapshot(repository: Repository, id: string, signal?: AbortSignal): Promise<void> {
  if (!(await repository.storage.stat(unpackedName('snapshots', id), signal))) {
    throw new HoldfastError({
      code: 'snapshot.unknown',
      message: `there is no snapshot ${id} in ${repository.storage.location}`,
      remedy: 'List what there is with: holdfast snapshots',
    });
  }
  await repository.storage.put(pinName(id), [], { signal });
}

/** Takes a pin away; not pinned is fine. */
export async function unpinSnapshot(repository: Repository, id: string, signal?: AbortSignal): Promise<void> {
  await repository.storage.delete(pinName(id), signal);
}

/** Ids of pinned snapshots; some may exist no more, or never came to be. */
export async function listPins(repository: Repository, signal?: AbortSignal): Promise<Set<string>> {
  const pins = new Set<string>();
  for await (const { name } of repository.storage.list(pinsFolder, signal)) {
    const id = idInName(name);
    if (id !== undefined) pins.add(id);
  }
  return pins;
}
